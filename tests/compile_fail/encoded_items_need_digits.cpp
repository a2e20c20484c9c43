// SPDX-License-Identifier: Apache-2.0
// expect: simgr: EncodedItems needs an Encoder over SemanticEmbedding
#include <simgr/baselines/sasrec.hpp>
#include <simgr/baselines/simgr.hpp>

using namespace simgr;

Recommender<TransformerEncoder<ItemEmbedding, Causal>, EveryPosition, ScaledCosine<EncodedItems>,
            ItemCrossEntropy<>>::Config config;
