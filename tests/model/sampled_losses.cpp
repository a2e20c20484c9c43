// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

using namespace simgr;
using simgr_test::tiny;

TEST_CASE("sampled losses give the gradient of every weight") {
  using E = TransformerEncoder<ItemEmbedding, Causal>;
  using S = InnerProduct<TiedItems>;
  simgr_test::check_whole_model<E, EveryPosition, S, BinaryCrossEntropy<UniformNegatives<1>>>(
      {.encoder = tiny<E>()});
  simgr_test::check_whole_model<E, EveryPosition, S, Bpr<UniformNegatives<2>>>(
      {.encoder = tiny<E>()});
  simgr_test::check_whole_model<E, EveryPosition, S, ItemCrossEntropy<InBatch<true>>>(
      {.encoder = tiny<E>()});
  simgr_test::check_whole_model<E, EveryPosition, S, ItemCrossEntropy<PopularityNegatives<3>>>(
      {.encoder = tiny<E>()});
}
