// SPDX-License-Identifier: Apache-2.0
// expect: simgr: PooledDigits over a PooledDigitEmbedding needs the same digit pooler in both
#include <simgr/baselines/simgr.hpp>

using namespace simgr;

Recommender<TransformerEncoder<PooledDigitEmbedding<MeanPlusMlp>, Causal>, EveryPosition,
            ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>::Config config;
