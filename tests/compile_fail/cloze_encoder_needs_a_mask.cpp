// SPDX-License-Identifier: Apache-2.0
// expect: simgr: ClozeEncoder hides items and needs an Encoder over MaskedItemEmbedding
#include <simgr/encoder/cloze_encoder.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>

using namespace simgr;

ClozeEncoder<TransformerEncoder<ItemEmbedding, Bidirectional>>::Config config;
