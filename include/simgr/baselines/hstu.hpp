// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/pointwise.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// HSTU: attention whose weights are no distribution, and gates in place of feed-forward nets.
///
/// Variant: the sequential recommender of the authors' published code over item ids alone, with the
/// softmax over the whole catalogue in place of 128 drawn items. Histories carry no times here, so of the
/// two attention biases the one by distance is left. Cosines at temperature .05 are theirs.
///
/// Source  Zhai et al., "Actions Speak Louder than Words", 2024, section 3
using Hstu = Recommender<PointwiseEncoder<ItemEmbedding>,  // history -> [tokens, width]
                         EveryPosition,                    //         -> [tokens, width]
                         ScaledCosine<TiedItems>,          //         -> [tokens, items]
                         ItemCrossEntropy<>>;

/// For data of the size of Amazon Beauty.
inline constexpr Defaults<Hstu> hstu_defaults{
    .model = {.encoder = {.width = 64, .layers = 2, .heads = 2, .max_length = 50, .dropout = 0.5},
              .similarity = {.temperature = 0.05}},
    .fit = {.epochs = 40, .batch = 128, .optimizer = {.rate = 1e-3}},
    .space = cosine_space};

}  // namespace simgr::SIMGR_ABI::baselines
