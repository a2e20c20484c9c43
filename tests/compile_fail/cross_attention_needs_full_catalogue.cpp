// SPDX-License-Identifier: Apache-2.0
// expect: simgr: CrossAttention makes an item's vector anew for each user
// A sampled loss asks for a few scores; items that depend on the user come in whole rows.
#include <simgr/composition.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/cross_attention.hpp>

using Model = simgr::Composition<simgr::TransformerEncoder<simgr::SemanticEmbedding, simgr::Causal>,
                                 simgr::EveryPosition,
                                 simgr::ScaledCosine<simgr::PooledDigits<simgr::CrossAttention>>,
                                 simgr::ItemCrossEntropy<simgr::UniformNegatives<5>>>;

Model::Config config;
