// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/encoder/cloze_encoder.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/hidden_items.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/product_and_bias.hpp>

using namespace simgr;

namespace {
using Reader =
    ClozeEncoder<TransformerEncoder<MaskedItemEmbedding, Bidirectional, PostNorm, GeluErf>>;
}

TEST_CASE("items behind masks, through a head and with biases, give the gradient of every weight") {
  simgr_test::check_whole_model<Reader, HiddenItemsHead, ProductAndBias<TiedItemsAndBias>,
                                ItemCrossEntropy<>>({.encoder = simgr_test::tiny<Reader>()});
}
TEST_CASE("items behind masks against drawn ones give the gradient of every weight") {
  simgr_test::check_whole_model<Reader, HiddenItems, InnerProduct<TiedItems>,
                                BinaryCrossEntropy<UniformNegatives<1>>>(
      {.encoder = simgr_test::tiny<Reader>()});
}
