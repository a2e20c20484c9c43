// SPDX-License-Identifier: Apache-2.0
// expect: simgr: a Recommender ranks by products of queries and keys
// Items that each user pools anew have no keys to rank by.
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/cross_attention.hpp>

using Model = simgr::Recommender<
    simgr::TransformerEncoder<simgr::SemanticEmbedding, simgr::Causal>, simgr::EveryPosition,
    simgr::ScaledCosine<simgr::PooledDigits<simgr::CrossAttention>>, simgr::ItemCrossEntropy<>>;

Model model(simgr::Catalogue{.items = 3});
