// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/encoder_and_queries.hpp>
#include <simgr/encoder/set_embedding.hpp>
#include <simgr/loss/set_cross_entropy.hpp>
#include <simgr/pooler/every_query.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/item_sets.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// SETRec: an item is a set of vectors in no order, one collaborative and some from its text; learned
/// queries read the history, each on its own, and ask for all vectors of the next item at once. A
/// score is a weighted sum of products, vector by vector, over the whole catalogue.
///
/// Its authors fine-tune a pretrained T5 or Qwen, with words before and after a history, and take the
/// collaborative vector from a SASRec trained before and frozen. Here T5's shape starts from nothing
/// and reads items and a learned end; such vectors are taken where the catalogue has them (item_vectors), and are
/// trained with the rest where it has none; and a query that sees itself alone is left with its
/// value, so that those maps of T5's that have no part in that are absent.
///
/// Source  Lin et al., "Order-agnostic Identifier for Large Language Model-based Generative
///         Recommendation", SIGIR 2025
using SetRec = Recommender<EncoderAndQueries<SetEmbedding>,  // history -> [users · vectors, width]
                           EveryQuery,                       //         -> [users, vectors · width]
                           InnerProduct<ItemSets>,           //         -> [users, items]
                           SetCrossEntropy>;

/// Four vectors of text, their autoencoder and its weight, batch, rate, warm-up of some hundred steps
/// and cosine are those of the authors' T5; width, layers and length are smaller, for one processor.
inline constexpr Defaults<SetRec> setrec_defaults{
    .model = {.encoder = {.width = 128,
                          .layers = 2,
                          .decoder_layers = 2,
                          .heads = 4,
                          .head_width = 32,
                          .inner = 512,
                          .max_length = 20,
                          .dropout = 0.1,
                          .embedding = {.semantic = 4,
                                        .hidden = 512,
                                        .hidden_layers = 3,
                                        .item_width = 64,
                                        .reconstruction = 0.7}}},
    .fit = {.epochs = 30,
            .batch = 512,
            .optimizer = {.rate = 1e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = encoder_decoder_space};

}  // namespace simgr::SIMGR_ABI::baselines
