// SPDX-License-Identifier: Apache-2.0
// expect: simgr: ItemSets needs an Encoder over SetEmbedding
#include <simgr/baselines/sasrec.hpp>
#include <simgr/similarity/item_sets.hpp>

using namespace simgr;

ItemSets::Over<TransformerEncoder<ItemEmbedding, Causal>>::Config config;
