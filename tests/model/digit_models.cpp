// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/digit_heads.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

// Models that score digits.

using namespace simgr;
using simgr_test::tiny;

TEST_CASE("heads of all digits over mean-pooled items give the gradient of every weight") {
  using E = TransformerEncoder<MeanOfDigits, Causal>;
  simgr_test::check_whole_model<E, DigitHeads<>, ScaledCosine<DigitCodebooks>, DigitCrossEntropy>(
      {.encoder = tiny<E>(), .similarity = {.temperature = .5}});
  simgr_test::check_whole_model<E, DigitHeads<LastPosition>, InnerProduct<DigitCodebooks>,
                                DigitCrossEntropy>(
      {.encoder = tiny<E>(), .candidates = {.support = DigitSupport::whole}});
}
TEST_CASE("heads of all digits over digits as tokens give the gradient of every weight") {
  using E = TransformerEncoder<SemanticEmbedding, Causal>;
  simgr_test::check_whole_model<E, DigitHeads<>, ScaledCosine<DigitCodebooks>, DigitCrossEntropy>(
      {.encoder = tiny<E>(), .similarity = {.temperature = .5, .learned = true}});
}

TEST_CASE("digits that are predicted one after another give the gradient of every weight") {
  using E = TransformerEncoder<SemanticEmbedding, Causal>;
  simgr_test::check_whole_model<E, EveryDigit, InnerProduct<DigitCodebooks>, DigitCrossEntropy>(
      {.encoder = tiny<E>(), .candidates = {.support = DigitSupport::whole}});
  simgr_test::check_whole_model<E, EveryDigit, ScaledCosine<DigitCodebooks>, DigitCrossEntropy>(
      {.encoder = tiny<E>(), .similarity = {.temperature = .5}});
}

TEST_CASE("the probabilities of a digit sum to one, over its own codes or over all") {
  const simgr_test::ToyWorld world;
  const std::vector<double> queries = simgr_test::random_values(2 * 3 * 5, 3),
                            keys = simgr_test::random_values(11 * 5, 4);
  Arena arena;
  cpu::Context ctx{arena};
  DigitProducts<double> scores{
      {queries.data(), {6, 5}}, {keys.data(), {11, 5}}, {}, {}, world.items()};
  const Matrix<double> logs = ctx.take<double>(2, 11);
  for (const DigitSupport support : {DigitSupport::level, DigitSupport::whole}) {
    scores.support = support;
    scores.log_probabilities(ctx, 0, 2, logs);
    for (Index r = 0; r < 2; ++r) {
      for (std::size_t j = 0; j < 3; ++j) {
        double sum = 0;
        for (Index c = world.starts[j]; c < world.starts[j + 1]; ++c) {
          sum += std::exp(logs(r, c));
        }
        if (support == DigitSupport::level) {
          CHECK(sum == doctest::Approx(1));
        } else {
          CHECK(sum < 1);
        }
      }
    }
    const Matrix<double> tile = ctx.take<double>(2, 7);
    scores.tile(ctx, 0, 2, tile);
    for (Index i = 0; i < 7; ++i) {
      CHECK(tile(1, i) == doctest::Approx(scores.item_score(logs.row(1), i)));
      CHECK(tile(1, i) == doctest::Approx((logs(1, world.items().digit_rows(i, 0)) +
                                           logs(1, world.items().digit_rows(i, 1)) +
                                           logs(1, world.items().digit_rows(i, 2))) /
                                          3));
    }
  }
}

TEST_CASE("scores of many rows of digits take no more scratch than those of one") {
  const simgr_test::ToyWorld world;
  const std::vector<double> queries = simgr_test::random_values(64 * 3 * 5, 3),
                            keys = simgr_test::random_values(11 * 5, 4);
  const auto scratch = [&](DigitSupport support, Index rows) {
    const DigitProducts<double> scores{
        {queries.data(), {rows * 3, 5}}, {keys.data(), {11, 5}}, {}, {}, world.items(), support};
    OwnedMatrix<double> tile(rows, 7);
    Arena arena;
    cpu::Context ctx{arena};
    scores.tile(ctx, 0, rows, tile.view());
    return arena.high_water();
  };
  for (const DigitSupport support : {DigitSupport::level, DigitSupport::whole}) {
    CHECK(scratch(support, 64) == scratch(support, 1));
  }
}
