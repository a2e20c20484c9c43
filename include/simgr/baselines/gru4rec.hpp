// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/recurrent_encoder.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// GRU4Rec, library variant: the cell of PyTorch without biases, a map from its states to the width of
/// items, one table for what is read and what is scored, and the softmax over the catalogue.
///
/// Deviates  every position of a history is taught at once, where RecBole reads each prefix again
/// Source    Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks", ICLR 2016,
///           section 3; cell, map and loss as RecBole's GRU4Rec has them
using Gru4Rec = Recommender<RecurrentEncoder<ItemEmbedding, ResetAfter>,  // -> [tokens, width]
                            EveryPosition,                                // -> [tokens, width]
                            InnerProduct<TiedItems>,                      // -> [tokens, items]
                            ItemCrossEntropy<>>;

/// GRU4Rec, original variant: the authors' cell, its states compared with the items themselves
/// (constrained embedding), and BPR-max against the batch's other targets and items drawn by
/// popularity.
///
/// Deviates  gradients go back through whole histories and not one step; scores have no bias of an item
///           and no elu; AdamW in place of Adagrad with momentum
/// Source    Hidasi & Karatzoglou, "Recurrent Neural Networks with Top-k Gains", CIKM 2018, sections
///           3.2 and 3.3
using Gru4RecBprMax = Recommender<RecurrentEncoder<ItemEmbedding, ResetBefore>, EveryPosition,
                                  InnerProduct<TiedItems>, BprMax<InBatchAndDrawn<false>>>;
/// The same under cross-entropy over those items, corrected by how often each is expected there.
using Gru4RecSampled =
    Recommender<RecurrentEncoder<ItemEmbedding, ResetBefore>, EveryPosition,
                InnerProduct<TiedItems>, ItemCrossEntropy<InBatchAndDrawn<true>>>;

/// For data of the size of Amazon Beauty.
inline constexpr Defaults<Gru4Rec> gru4rec_defaults{
    .model = {.encoder = {.width = 64, .hidden = 128, .max_length = 50, .dropout = 0.3}},
    .fit = {.epochs = 20,
            .batch = 128,
            .optimizer = {.rate = 3e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = "optimizer.rate=5e-4..1e-2:log,encoder.dropout=0..0.6,encoder.hidden=64|128"};

template <class Model>
inline constexpr Defaults<Model> original_gru4rec_defaults_of{
    .model = {.encoder = {.width = 128,
                          .hidden = 128,
                          .max_length = 50,
                          .dropout = 0.3,
                          .hidden_dropout = 0.1,
                          .biased = true,
                          .projected = false}},
    .fit = {.epochs = 40,
            .batch = 64,
            .optimizer = {.rate = 3e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = "optimizer.rate=5e-4..1e-2:log,encoder.dropout=0..0.6,encoder.hidden_dropout=0..0.4"};
inline constexpr Defaults<Gru4RecBprMax> gru4rec_bpr_max_defaults =
    original_gru4rec_defaults_of<Gru4RecBprMax>;
inline constexpr Defaults<Gru4RecSampled> gru4rec_sampled_defaults =
    original_gru4rec_defaults_of<Gru4RecSampled>;

}  // namespace simgr::SIMGR_ABI::baselines
