// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/baselines/simgr.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/digit_heads.hpp>
#include <simgr/ranker/graph_decoding.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// RPG: long unordered semantic ids (optimised product quantisation), the mean of their vectors as
/// an item in histories, and one head for each digit; all digits are predicted at once, as if they
/// were independent, and an item's score is the mean of its digits' log-probabilities. Ranked over
/// all items, as its authors do for validation; their graph search approximates that.
///
/// Source  Hou et al., "Generating Long Semantic IDs in Parallel for Recommendation", KDD 2025,
///         arXiv 2506.05781, sections 2.1 to 2.4
using Rpg = Recommender<TransformerEncoder<MeanOfDigits, Causal>,  // history -> [tokens, width]
                        DigitHeads<>,                  //         -> [rows, digits, width]
                        ScaledCosine<DigitCodebooks>,  //         -> [rows, Σ codes]
                        DigitCrossEntropy>;

/// The same model under its authors' search at serving time.
using RpgByGraph = with_ranker<Rpg, ranker::GraphDecoding>;

/// RPG with SimGR's softmax over items in place of the heads: the same codes, encoder and
/// temperature, so that exactly one thing differs. It is SimGR with the plain mean, under RPG's
/// numbers.
using RpgBySimilarity = SimGrMean;

/// Section 3.1.3 has width 448, inner width 1,024, dropout .5 of embeddings and attention and warm-up
/// over most of the training. Smaller here, for one processor, with less dropout of attention, with
/// averaged weights: the best of six on Beauty's validation (bench/README.md). Histories that end at the last
/// position are better on Beauty, but on Sports Rpg then stays at popularity's lists.
template <class Model>
inline constexpr Defaults<Model> rpg_defaults_of{
    .model = {.encoder = {.width = 256,
                          .layers = 2,
                          .heads = 4,
                          .inner = 512,
                          .max_length = 50,
                          .dropout = 0.5,
                          .attention_dropout = 0.2,
                          .residual_dropout = 0},
              .similarity = {.temperature = 0.03}},
    .fit = {.epochs = 60,
            .batch = 128,
            .moving_average = 0.997,
            .optimizer = {.rate = 2e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.1}},
    .space = cosine_space};
inline constexpr Defaults<Rpg> rpg_defaults = rpg_defaults_of<Rpg>;
inline constexpr Defaults<RpgBySimilarity> rpg_by_similarity_defaults =
    rpg_defaults_of<RpgBySimilarity>;

}  // namespace simgr::SIMGR_ABI::baselines
