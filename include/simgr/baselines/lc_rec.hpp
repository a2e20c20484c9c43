// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/ranker/trie_beam.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// LC-Rec: a decoder-only language model reads a history as the digits of its items and spells the
/// next item digit by digit; lists come from a beam along the trie of all items. The embedding of a
/// digit is its output vector, too.
///
/// @tparam E  the language model: any Encoder that spells items. Its authors fine-tune a pretrained
///            one, with prompts and alignment tasks; LcRec has its shape and starts from nothing
///
/// Source  Zheng et al., "Adapting Large Language Models by Integrating Collaborative Semantics for
///         Recommendation", ICDE 2024, sections III-B and III-C; beam of 20: its section IV-A
template <Encoder E>
using LcRecOver = Recommender<E,                               // history -> [tokens, width]
                              SpeltDigits<E::spelt_examples>,  //       -> [rows, digits, width]
                              InnerProduct<DigitCodebooks>,    //         -> [rows, Σ codes]
                              DigitCrossEntropy, ranker::TrieBeam>;

using LcRec = LcRecOver<TransformerEncoder<SemanticEmbedding, Causal>>;

/// The last 20 items and the softmax over the whole vocabulary are its authors'; the sizes are those
/// of TIGER's decoder, the nearest model that was trained from nothing. Batch and dropout: such a model
/// is short of steps, not of restraint (bench/README.md).
inline constexpr Defaults<LcRec> lc_rec_defaults{
    .model = {.encoder = {.width = 128,
                          .layers = 4,
                          .heads = 4,
                          .max_length = 20,
                          .dropout = 0.1,
                          .attention_dropout = 0.1},
              .candidates = {.support = DigitSupport::whole}},
    .fit = {.epochs = 40,
            .batch = 32,
            .evaluate_every = 4,
            .optimizer = {.rate = 1e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.05}},
    .space = encoder_space};

}  // namespace simgr::SIMGR_ABI::baselines
