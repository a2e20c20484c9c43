// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

using namespace simgr;
using simgr_test::tiny;

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
