// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// VQ-Rec without its pre-training on other domains: an item is the mean of the vectors of its
/// product-quantised codes, in histories and as a candidate, under a softmax over items. RPG reads
/// the same codes in the same way and scores digits instead.
///
/// Source  Hou et al., "Learning Vector-Quantized Item Representation for Transferable Sequential
///         Recommenders", WWW 2023, sections 3.1 and 3.3
using VqRec = Recommender<
    TransformerEncoder<MeanOfDigits, Causal, PostNorm, GeluErf>,  // history -> [tokens, width]
    EveryPosition,                                                //         -> [tokens, width]
    ScaledCosine<PooledDigits<Mean>>,                             //         -> [tokens, items]
    ItemCrossEntropy<>>;

/// Section 4.1.4 and the published configuration: 2 layers, 2 heads, width 300, inner width 256,
/// dropout .5, temperature .07; narrower here, for one processor.
inline constexpr Defaults<VqRec> vq_rec_defaults{
    .model = {.encoder = {.width = 128,
                          .layers = 2,
                          .heads = 2,
                          .inner = 256,
                          .max_length = 50,
                          .dropout = 0.5,
                          .attention_dropout = 0.5,
                          .epsilon = 1e-12},
              .similarity = {.temperature = 0.07}},
    .fit = {.epochs = 40,
            .batch = 128,
            .optimizer = {.rate = 3e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = cosine_space};

}  // namespace simgr::SIMGR_ABI::baselines
