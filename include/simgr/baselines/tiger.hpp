// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/encoder_decoder.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/ranker/trie_beam.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// TIGER: an encoder-decoder reads the digits of a history and spells the next item; the table of
/// digits is also what their probabilities are products with. Lists come from a beam along the trie
/// of all items, so that none is wasted on what is no item. Its authors add a token of the hashed
/// user, which they report to be worth .0008 of recall at 5; here histories come without users.
///
/// Source  Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023, section 3.2
using Tiger =
    Recommender<EncoderDecoder<SemanticEmbedding>,  // history -> [targets · digits, width]
                EveryDigitOfLast,                   //         -> [rows, digits, width]
                InnerProduct<DigitCodebooks>,       //         -> [rows, Σ codes]
                DigitCrossEntropy, ranker::TrieBeam>;

/// Sizes, length, dropout, batch and the softmax over all codes: section 4.1 of the paper. It says
/// nothing of the optimiser but its rate; AdamW with decay and a cosine comes closest to its figures
/// in reproductions.
inline constexpr Defaults<Tiger> tiger_defaults{
    .model = {.encoder = {.width = 128,
                          .layers = 4,
                          .decoder_layers = 4,
                          .heads = 6,
                          .head_width = 64,
                          .inner = 1024,
                          .max_length = 20,
                          .dropout = 0.1},
              .candidates = {.support = DigitSupport::whole}},
    .fit = {.epochs = 40,
            .batch = 256,
            .evaluate_every = 4,
            .optimizer = {.rate = 1e-3, .weight_decay = 0.035},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.05}},
    .space = encoder_decoder_space};

}  // namespace simgr::SIMGR_ABI::baselines
