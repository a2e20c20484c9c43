// SPDX-License-Identifier: Apache-2.0
// expect: simgr: this Pooler cannot read what this Encoder writes
#include <simgr/baselines/bert4rec.hpp>

using namespace simgr;

// All tokens have states, and the targets are those of the hidden ones.
Recommender<TransformerEncoder<MaskedItemEmbedding, Bidirectional>, HiddenItems,
            InnerProduct<TiedItems>, ItemCrossEntropy<>>::Config config;
