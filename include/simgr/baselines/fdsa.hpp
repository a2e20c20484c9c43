// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/two_streams.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// FDSA: self-attention over the items of a history and, apart from it, over their features; both speak
/// before the next item is chosen.
///
/// Variant: the feature of an item is its text's vector, through a trained map, in place of brand and
/// categories; attention over several fields, of which there is one, is left out. Softmax over the
/// catalogue and shared norm as in RecBole; every position predicts its next item.
///
/// Source  Zhang et al., "Feature-level Deeper Self-Attention Network", 2019, section 3
using Fdsa = Recommender<TwoStreamEncoder<>,       // history -> [tokens, width]
                         EveryPosition,            //         -> [tokens, width]
                         InnerProduct<TiedItems>,  //         -> [tokens, items]
                         ItemCrossEntropy<>>;

/// Sizes and dropout: RecBole's.
inline constexpr Defaults<Fdsa> fdsa_defaults{
    .model = {.encoder = {.width = 64,
                          .layers = 2,
                          .heads = 2,
                          .max_length = 50,
                          .dropout = 0.5,
                          .attention_dropout = 0.5}},
    .fit = {.epochs = 40, .batch = 128, .optimizer = {.rate = 1e-3}},
    .space = encoder_space};

}  // namespace simgr::SIMGR_ABI::baselines
