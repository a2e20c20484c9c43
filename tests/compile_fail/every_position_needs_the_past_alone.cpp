// SPDX-License-Identifier: Apache-2.0
// expect: simgr: EveryPosition predicts the next item from every position and needs an Encoder whose states
#include <simgr/baselines/fmlp_rec.hpp>

using namespace simgr;

Recommender<TransformerEncoder<ItemEmbedding, Filtered>, EveryPosition, InnerProduct<TiedItems>,
            ItemCrossEntropy<>>::Config config;
