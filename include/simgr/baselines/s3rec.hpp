// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/train/pretrain.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// S3-Rec: SASRec whose encoder first learns, from the training sequences alone and reading both ways,
/// which attributes items have, which are hidden, and which segments belong together.
///
///   S3Rec model(catalogue);
///   train::pretrain(model, attributes, split, s3rec_pretraining);
///   model.fit(split, s3rec_defaults.fit);
///
/// Variant: the authors' published code, whose scores pass two sigmoids; segments of others come from
/// training sequences alone. Fine-tuning is theirs: every position against one uniformly drawn item,
/// positions counted as where histories are padded on the left.
///
/// Source  Zhou et al., "S3-Rec", 2020, section 4
using S3Rec =
    Recommender<TransformerEncoder<MaskedItemEmbedding, Causal, PostNorm, GeluErf>, EveryPosition,
                InnerProduct<TiedItems>, BinaryCrossEntropy<UniformNegatives<1>>>;

/// Theirs but for the epochs, which they choose by the data set: 150 for Amazon Beauty.
inline constexpr train::PretrainOptions s3rec_pretraining{.epochs = 100, .batch = 100};

inline constexpr Defaults<S3Rec> s3rec_defaults{
    .model = {.encoder = {.width = 64,
                          .layers = 2,
                          .heads = 2,
                          .max_length = 50,
                          .left_padded = true,
                          .dropout = 0.5,
                          .attention_dropout = 0.5,
                          .epsilon = 1e-12}},
    .fit = {.epochs = 100, .batch = 256, .patience = 10, .optimizer = {.rate = 1e-3}},
    .space = encoder_space};

}  // namespace simgr::SIMGR_ABI::baselines
