// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// SimGR, variant A, from scratch: an item is its pooled semantic-id vectors, in histories and as a
/// candidate alike; the item distribution is a softmax over temperature-scaled cosines with the
/// whole catalogue. Source: "SimGR: Escaping the Pitfalls of Generative Decoding in LLM-based
/// Recommendation", arXiv 2602.07847. The paper fine-tunes a language model and pools by the mean;
/// the small transformer, cosine and the MLP over the digits are choices of this project (spec:
/// from scratch the plain mean underfits).
template <class DigitPooler>
using SimGrWith =
    Recommender<TransformerEncoder<PooledDigitEmbedding<DigitPooler>, Causal>,  // history ->
                                                                                // [tokens, width]
                EveryPosition,                            //         -> [tokens, width]
                ScaledCosine<PooledDigits<DigitPooler>>,  //         -> [tokens, items]
                ItemCrossEntropy<>>;
using SimGr = SimGrWith<MeanPlusMlp>;

/// SimGR with the paper's pooling rule, the plain mean.
using SimGrMean = SimGrWith<Mean>;

/// SimGR, variant B: an item's semantic id goes through the encoder that reads histories.
using SimGrEncoded = Recommender<TransformerEncoder<SemanticEmbedding, Causal>, EveryPosition,
                                 ScaledCosine<EncodedItems>, ItemCrossEntropy<>>;

}  // namespace simgr::SIMGR_ABI::baselines
