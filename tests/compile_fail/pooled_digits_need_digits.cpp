// SPDX-License-Identifier: Apache-2.0
// expect: simgr: PooledDigits needs an Encoder that reads digits
#include <simgr/baselines/sasrec.hpp>
#include <simgr/baselines/simgr.hpp>

using namespace simgr;

Recommender<TransformerEncoder<ItemEmbedding, Causal>, EveryPosition,
            InnerProduct<PooledDigits<Mean>>, ItemCrossEntropy<>>::Config config;
