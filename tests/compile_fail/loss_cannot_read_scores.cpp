// SPDX-License-Identifier: Apache-2.0
// expect: simgr: this Loss cannot read these scores; item losses need ItemScores
#include <simgr/baselines/sasrec.hpp>

using namespace simgr;

struct TokenCrossEntropy : ItemCrossEntropy<> {
  using In = flow::DigitScores;
};

Recommender<TransformerEncoder<ItemEmbedding, Causal>, EveryPosition, InnerProduct<TiedItems>,
            TokenCrossEntropy>::Config config;
