// SPDX-License-Identifier: Apache-2.0
// expect: simgr: this Pooler cannot read what this Encoder writes
#include <simgr/baselines/sasrec.hpp>

using namespace simgr;

struct WritesUsers : TransformerEncoder<ItemEmbedding, Causal> {
  using Out = flow::UserStates;
};

Recommender<WritesUsers, EveryPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>::Config config;
