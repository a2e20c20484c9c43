// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/encoder_decoder_and_end.hpp>
#include <simgr/encoder/text_digit_embedding.hpp>
#include <simgr/loss/digit_and_item_cross_entropy.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/ranker/hybrid_beam.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/digits_and_texts.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// LIGER: TIGER that also reads the texts of items and learns, from the same reading of a history,
/// where among all texts the next one lies. A beam spells a few candidates, items that training never
/// met join them, and the distance to their texts puts all in order.
///
/// Source  Yang et al., "Unifying Generative and Dense Retrieval for Sequential Recommendation",
///         2024
using Liger =
    Recommender<EncoderDecoderAndEnd<TextDigitEmbedding>,  // history -> spelt digits, and ends
                EveryDigitAndEnd,                          //         -> digits, and users
                ProductAndCosine<DigitsAndTexts>,  //         -> [rows, Σ codes], [rows, items]
                DigitAndItemCrossEntropy, ranker::HybridBeam>;

/// The same weights, every item compared and none spelt.
using LigerDense = with_ranker<Liger, ranker::DenseScores>;

/// Sizes, dropout, temperature, batch, rate and decay: those of its authors, who train for 200,000
/// steps, of which the first 10,000 warm up.
template <class Model>
inline constexpr Defaults<Model> liger_defaults_of{
    .model = {.encoder = {.width = 128,
                          .layers = 6,
                          .decoder_layers = 6,
                          .heads = 6,
                          .head_width = 64,
                          .inner = 1024,
                          .max_length = 20,
                          .dropout = 0.2,
                          .embedding = {.deviation = 1, .dropout = 0.5}},
              .similarity = {.temperature = 0.07, .support = DigitSupport::whole}},
    .fit = {.epochs = 40,
            .batch = 256,
            .evaluate_every = 4,
            .optimizer = {.rate = 3e-4, .weight_decay = 0.035},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.05}},
    .space = encoder_decoder_space};
inline constexpr const Defaults<Liger>& liger_defaults = liger_defaults_of<Liger>;

}  // namespace simgr::SIMGR_ABI::baselines
