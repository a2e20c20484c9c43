// SPDX-License-Identifier: Apache-2.0
// expect: simgr: this Similarity cannot read what this Pooler writes
#include <simgr/baselines/sasrec.hpp>

using namespace simgr;

struct DigitHeads : EveryPosition {
  using Out = flow::DigitStates;
};

Recommender<TransformerEncoder<ItemEmbedding, Causal>, DigitHeads, InnerProduct<TiedItems>,
            ItemCrossEntropy<>>::Config config;
