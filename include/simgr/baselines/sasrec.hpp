// SPDX-License-Identifier: Apache-2.0
#pragma once

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
/// the next item by inner product with the same item table, against the whole catalogue. Source:
/// Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, sections III-A to III-D;
/// the loss as in RecBole and later comparisons (Klenitskiy & Vasilev, RecSys 2023).
using SasRec = Recommender<TransformerEncoder<ItemEmbedding, Causal>,  // history -> [tokens, width]
                           EveryPosition,                              //         -> [tokens, width]
                           InnerProduct<TiedItems>,                    //         -> [tokens, items]
                           ItemCrossEntropy<>>;

/// SASRec with the paper's own loss: binary cross-entropy against one uniformly drawn item (section
/// III-E).
using SasRecBce = Recommender<TransformerEncoder<ItemEmbedding, Causal>, EveryPosition,
                              InnerProduct<TiedItems>, BinaryCrossEntropy<UniformNegatives<1>>>;

}  // namespace simgr::SIMGR_ABI::baselines
