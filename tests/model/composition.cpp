// SPDX-License-Identifier: Apache-2.0
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

using namespace simgr;

namespace {
template <class E>
auto tiny() {
  typename E::Config c;
  c.width = 6;
  c.layers = 1;
  c.inner = 5;
  c.max_length = 5;
  c.dropout = .1;
  c.attention_dropout = .2;
  return c;
}
}  // namespace

TEST_CASE("a tied item table trained by full cross-entropy gives the gradient of every weight") {
  using E = TransformerEncoder<ItemEmbedding, Causal>;
  simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>(
      {.encoder = tiny<E>()});
  simgr_test::check_whole_model<E, LastPosition, InnerProduct<OwnItems>, ItemCrossEntropy<>>(
      {.encoder = tiny<E>()});
}
TEST_CASE("pooled digits under a learned cosine give the gradient of every weight") {
  using E = TransformerEncoder<PooledDigitEmbedding<MeanPlusMlp>, Causal>;
  simgr_test::check_whole_model<E, EveryPosition, ScaledCosine<PooledDigits<MeanPlusMlp>>,
                                ItemCrossEntropy<>>(
      {.encoder = tiny<E>(), .similarity = {.temperature = .5, .learned = true}});
}
TEST_CASE("digits as tokens with candidates pooled from the same table give the gradient of every "
          "weight") {
  using E = TransformerEncoder<SemanticEmbedding, Causal>;
  simgr_test::check_whole_model<E, EveryPosition, ScaledCosine<PooledDigits<DigitGate>>,
                                ItemCrossEntropy<>>(
      {.encoder = tiny<E>(), .similarity = {.temperature = .5}});
  simgr_test::check_whole_model<E, LastPosition, InnerProduct<PooledDigits<DigitAttention>>,
                                ItemCrossEntropy<>>({.encoder = tiny<E>()});
}
TEST_CASE("items through the encoder of the histories give the gradient of every weight") {
  using E = TransformerEncoder<SemanticEmbedding, Causal>;
  simgr_test::check_whole_model<E, EveryPosition, ScaledCosine<EncodedItems>, ItemCrossEntropy<>>(
      {.encoder = tiny<E>(), .similarity = {.temperature = .5}});
}
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
