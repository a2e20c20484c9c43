// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// SASRec with softmax cross-entropy: causal self-attention over item ids; every position predicts
/// the next item by inner product with the same item table, against the whole catalogue.
///
/// Source  Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, sections III-A to
///         III-D; the loss as in RecBole and later comparisons (Klenitskiy & Vasilev, RecSys 2023)
using SasRec = Recommender<TransformerEncoder<ItemEmbedding, Causal>,  // history -> [tokens, width]
                           EveryPosition,                              //         -> [tokens, width]
                           InnerProduct<TiedItems>,                    //         -> [tokens, items]
                           ItemCrossEntropy<>>;

/// SASRec as its authors have it: their block, which normalises only the query, rectified linear
/// units, embeddings scaled by sqrt(width), histories padded on the left, and binary cross-entropy
/// against one uniformly drawn item.
///
/// Source  Kang & McAuley 2018, sections III-B to III-E, and their published code
using SasRecBce =
    Recommender<TransformerEncoder<ItemEmbedding, Causal, QueryNorm, Relu>, EveryPosition,
                InnerProduct<TiedItems>, BinaryCrossEntropy<UniformNegatives<1>>>;

/// For data of the size of Amazon Beauty; padded on the left, which validation prefers there.
inline constexpr Defaults<SasRec> sasrec_defaults{
    .model = {.encoder = {.width = 64,
                          .layers = 2,
                          .heads = 2,
                          .max_length = 50,
                          .left_padded = true,
                          .dropout = 0.5,
                          .attention_dropout = 0.5}},
    .fit = {.epochs = 40,
            .batch = 128,
            .optimizer = {.rate = 3e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = encoder_space};

inline constexpr Defaults<SasRecBce> sasrec_bce_defaults{
    .model = {.encoder = {.width = 128,
                          .layers = 2,
                          .heads = 1,
                          .inner = 128,
                          .max_length = 50,
                          .left_padded = true,
                          .dropout = 0.5,
                          .attention_dropout = 0.5,
                          .scale_embedding = true,
                          .projected = false}},
    .fit = {.epochs = 40, .batch = 128, .optimizer = {.rate = 5e-4}},
    .space = "optimizer.rate=2e-4..5e-3:log,encoder.dropout=0.1..0.7,encoder.width=64|128"};

}  // namespace simgr::SIMGR_ABI::baselines
