// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/cross_attention.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// SimGR, variant A, from scratch: an item is its pooled semantic-id vectors, in histories and as a
/// candidate alike; the item distribution is a softmax over temperature-scaled cosines with the
/// whole catalogue. The paper fine-tunes a language model and pools by the mean; the small
/// transformer, cosine and the MLP over the digits are ours: behind it the plain mean underfits.
///
/// Source  "SimGR: Escaping the Pitfalls of Generative Decoding in LLM-based Recommendation",
///         arXiv 2602.07847
template <class Pooler>
using SimGrWith = Recommender<
    TransformerEncoder<PooledDigitEmbedding<Pooler>, Causal>,  // history -> [tokens, width]
    EveryPosition,                                             //         -> [tokens, width]
    ScaledCosine<PooledDigits<Pooler>>,                        //         -> [tokens, items]
    ItemCrossEntropy<>>;
using SimGr = SimGrWith<MeanPlusMlp>;

/// SimGR with the paper's pooling rule, the plain mean.
using SimGrMean = SimGrWith<Mean>;

/// SimGR with items that each user pools anew. Histories read digits, one token each.
using SimGrCrossAttention =
    Recommender<TransformerEncoder<SemanticEmbedding, Causal>, EveryPosition,
                ScaledCosine<PooledDigits<CrossAttention>>, ItemCrossEntropy<>>;

/// SimGR, variant B: an item's semantic id goes through the encoder that reads histories.
using SimGrEncoded = Recommender<TransformerEncoder<SemanticEmbedding, Causal>, EveryPosition,
                                 ScaledCosine<EncodedItems>, ItemCrossEntropy<>>;

/// For data like Amazon Beauty, and ids of four digits and a disambiguation digit; padded as SASRec.
template <class Pooler>
inline constexpr Defaults<SimGrWith<Pooler>> simgr_with_defaults{
    .model = {.encoder = {.width = 64,
                          .layers = 2,
                          .heads = 2,
                          .max_length = 50,
                          .left_padded = true,
                          .dropout = 0.2,
                          .attention_dropout = 0.2},
              .similarity = {.temperature = 0.07}},
    .fit = {.epochs = 30,
            .batch = 96,
            .optimizer = {.rate = 3e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = cosine_space};

inline constexpr Defaults<SimGr> simgr_defaults = simgr_with_defaults<MeanPlusMlp>;
inline constexpr Defaults<SimGrMean> simgr_mean_defaults = simgr_with_defaults<Mean>;

/// Where a history has a token for each digit: five times as many, so it is cut shorter.
template <class Model>
inline constexpr Defaults<Model> simgr_over_digits_defaults{
    .model = {.encoder = {.width = 64,
                          .layers = 2,
                          .heads = 2,
                          .max_length = 20,
                          .dropout = 0.2,
                          .attention_dropout = 0.2},
              .similarity = {.temperature = 0.07}},
    .fit = {.epochs = 12,
            .batch = 96,
            .optimizer = {.rate = 2e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = cosine_space};

}  // namespace simgr::SIMGR_ABI::baselines
