// SPDX-License-Identifier: Apache-2.0
// expect: template constraint failure for|constraints not satisfied for class template 'Recommender'
#include <simgr/baselines/sasrec.hpp>

using namespace simgr;

Recommender<EveryPosition, TransformerEncoder<ItemEmbedding, Causal>, InnerProduct<TiedItems>,
            ItemCrossEntropy<>>::Config config;
