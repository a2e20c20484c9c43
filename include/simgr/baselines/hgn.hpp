// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/window_encoder.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/nn/hierarchical_gating.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// HGN, softmax variant: the features of the last items are gated by each item and by the user, then
/// the items as wholes; the user, the gated items and the sum of all are compared with a second table.
///
/// Deviates  a user is the mean of the history, where the authors train a vector for each user; a
///           prefix has one target, not three; a short history is not padded
/// Source    Ma, Kang & Liu, "Hierarchical Gating Networks for Sequential Recommendation", KDD 2019,
///           section 4; the loss as RecBole's HGN has it
using Hgn = Recommender<WindowEncoder<ItemEmbedding, HierarchicalGating>,  // -> [sequences, width]
                        LastPosition,                                      // -> [sequences, width]
                        InnerProduct<OwnItems>,                            // -> [sequences, items]
                        ItemCrossEntropy<>>;

/// HGN under its authors' loss: BPR against three items of each prefix's own.
///
/// Deviates  as above, scores have no bias of an item, and what the user takes later may be drawn
///           against a prefix
/// Source    Ma, Kang & Liu 2019, equation 8, and their published code
using HgnBpr = Recommender<WindowEncoder<ItemEmbedding, HierarchicalGating>, LastPosition,
                           InnerProduct<OwnItems>, Bpr<UniformNegatives<3>>>;

/// For data of the size of Amazon Beauty.
inline constexpr Defaults<Hgn> hgn_defaults{
    .model = {.encoder = {.width = 64, .window = 5, .max_length = 50}},
    .fit = {.epochs = 15,
            .batch = 1024,
            .optimizer = {.rate = 3e-3, .weight_decay = 0.1},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}}};

inline constexpr Defaults<HgnBpr> hgn_bpr_defaults{
    .model = {.encoder = {.width = 50, .window = 5, .max_length = 50}, .loss = {.epsilon = 1e-8}},
    .fit = {.epochs = 60, .batch = 1024, .optimizer = {.rate = 1e-3, .weight_decay = 0.01}}};

}  // namespace simgr::SIMGR_ABI::baselines
