// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/encoder/cloze_encoder.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/hidden_items.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/product_and_bias.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// BERT4Rec: some items of a history are hidden, and found by those on both sides of them. To serve, the
/// item behind the last one is hidden.
///
/// Variant: every prefix of a history is an example, as in RecBole, of which half hide their last item
/// alone, drawn for each example anew in every epoch; without those the model learns little of what it is
/// asked for. Unlike there the last item of training is a target as well, no mask is dropped, and the
/// mask behind a full history takes no item's place. The authors' evaluation, 100 drawn negatives, is
/// not ours.
///
/// Source  Sun et al., "BERT4Rec", 2019, sections 3.2 to 3.6
using Bert4Rec =
    Recommender<ClozeEncoder<TransformerEncoder<MaskedItemEmbedding, Bidirectional, PostNorm,
                                                GeluErf>>,  // history -> [masks, width]
                HiddenItemsHead,                            //         -> [masks, width]
                ProductAndBias<TiedItemsAndBias>,           //         -> [masks, items]
                ItemCrossEntropy<>>;

/// Sizes of the authors for Amazon Beauty; dropout and rate are RecBole's.
inline constexpr Defaults<Bert4Rec> bert4rec_defaults{
    .model = {.encoder = {.width = 64,
                          .layers = 2,
                          .heads = 2,
                          .max_length = 50,
                          .dropout = 0.2,
                          .attention_dropout = 0.2,
                          .epsilon = 1e-12}},
    .fit = {.epochs = 100, .batch = 512, .optimizer = {.rate = 1e-3}},
    .space = encoder_space};

}  // namespace simgr::SIMGR_ABI::baselines
