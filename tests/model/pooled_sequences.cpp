// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/sequence.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

using namespace simgr;

TEST_CASE("a whole history pooled to one row gives the gradient of every weight") {
  using E = TransformerEncoder<ItemEmbedding, Bidirectional, PostNorm>;
  simgr_test::check_whole_model<E, SequenceCrossAttention, InnerProduct<OwnItems>,
                                BprMax<InBatch<false>>>({.encoder = simgr_test::tiny<E>()});
}
