// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/window_encoder.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/nn/window_convolution.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// Caser, library variant: the last items as an image, convolved along both axes, then two maps with
/// the user; softmax over the catalogue against the table that is read. The last rectifier keeps users
/// in a cone, as published.
///
/// Deviates  a user is the mean of the history, where the authors train a vector for each user; weight
///           decay in place of a sum of norms; one target, not three
/// Source    Tang & Wang, "Personalized Top-N Sequential Recommendation via Convolutional Sequence
///           Embedding", WSDM 2018, section 3; maps and loss as RecBole's Caser has them
using Caser = Recommender<WindowEncoder<ItemEmbedding, WindowConvolution>,  // -> [sequences, width]
                          LastPosition,                                     // -> [sequences, width]
                          InnerProduct<TiedItems>,                          // -> [sequences, items]
                          ItemCrossEntropy<>>;

/// For data of the size of Amazon Beauty.
inline constexpr Defaults<Caser> caser_defaults{
    .model = {.encoder = {.width = 64,
                          .window = 10,
                          .max_length = 50,
                          .reader = {.vertical = 4, .horizontal = 8, .dropout = 0.4},
                          .embedding = {.deviation = 0.125}}},
    .fit = {.epochs = 10,
            .batch = 512,
            .optimizer = {.rate = 3e-3, .weight_decay = 1e-2},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = "optimizer.rate=3e-4..5e-3:log,optimizer.weight_decay=1e-4..0.1:log,"
             "encoder.reader.dropout=0..0.6"};

}  // namespace simgr::SIMGR_ABI::baselines
