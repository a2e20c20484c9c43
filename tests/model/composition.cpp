// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

using namespace simgr;
using simgr_test::tiny;

TEST_CASE("a tied item table trained by full cross-entropy gives the gradient of every weight") {
  using E = TransformerEncoder<ItemEmbedding, Causal>;
  auto encoder = tiny<E>();
  for (const double residual_dropout : {-1.0, 0.0, 0.4}) {
    encoder.residual_dropout = residual_dropout;
    simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>(
        {.encoder = encoder});
  }
  simgr_test::check_whole_model<E, LastPosition, InnerProduct<OwnItems>, ItemCrossEntropy<>>(
      {.encoder = tiny<E>()});
}
TEST_CASE("a smoothed target gives the gradient of every weight") {
  using E = TransformerEncoder<ItemEmbedding, Causal>;
  simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>(
      {.encoder = tiny<E>(), .loss = {.label_smoothing = 0.2}});
}
