// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// FMLP-Rec, softmax variant: SASRec with a learned filter along the history in place of attention. A
/// filter sees the future, so that every prefix of a history is an example and its last position alone
/// is taught.
///
/// Deviates  softmax over the catalogue, where its authors have BPR with one negative; places before a
///           short history are zero in every layer, where theirs hold positions and norms
/// Source    Zhou et al., "Filter-enhanced MLP is All You Need for Sequential Recommendation", WWW
///           2022, sections 3.1 to 3.3
using FmlpRec = Recommender<TransformerEncoder<ItemEmbedding, Filtered, PostNorm, GeluErf>,
                            LastPosition,             // -> [sequences, width]
                            InnerProduct<TiedItems>,  // -> [sequences, items]
                            ItemCrossEntropy<>>;

/// For data of the size of Amazon Beauty; width, layers, length and dropout as in section 4.1.4.
inline constexpr Defaults<FmlpRec> fmlp_rec_defaults{
    .model = {.encoder = {.width = 64, .layers = 2, .max_length = 50, .dropout = 0.5}},
    .fit = {.epochs = 8,
            .batch = 512,
            .optimizer = {.rate = 3e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = encoder_space};

}  // namespace simgr::SIMGR_ABI::baselines
