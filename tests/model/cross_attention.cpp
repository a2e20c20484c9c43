// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/cross_attention.hpp>

using namespace simgr;

TEST_CASE("items that each user pools anew give the gradient of every weight") {
  using E = TransformerEncoder<SemanticEmbedding, Causal>;
  using S = ScaledCosine<PooledDigits<CrossAttention>>;
  for (const bool learned : {false, true}) {
    simgr_test::check_whole_model<E, EveryPosition, S, ItemCrossEntropy<>>(
        {.encoder = simgr_test::tiny<E>(), .similarity = {.temperature = .5, .learned = learned}});
  }
}

namespace {

/// A world of seven items and 11 digit rows, and five users, on the scorer alone.
struct Pairs {
  std::vector<std::int32_t> digits = simgr_test::ToyWorld().rows;
  std::vector<double> states = simgr_test::random_values(5 * 6, 1),
                      keys = simgr_test::random_values(22 * 6, 2);
  Arena arena;
  cpu::Context ctx{arena};

  Matrix<double> scores(double temperature) {
    const Matrix<const std::int32_t> rows(digits.data(), {7, 3});
    const Matrix<const double> all(keys.data(), {22, 6});
    const Matrix<double> grams = ctx.take<double>(7, 9), out = ctx.take<double>(5, 7);
    digit_grams(ctx, all.slice(11, 11), rows, grams);
    CrossAttentionScores<double> scorer;
    scorer.queries = Matrix<const double>(states.data(), {5, 6});
    scorer.keys = all;
    scorer.digit_rows = rows;
    scorer.grams = grams;
    scorer.inverse_temperature = 1 / temperature;
    scorer.tile(ctx, 0, 5, out);
    return out;
  }
  /// cos(h, Σ softmax(h · k) v) / temperature, the slow way.
  double naive(Index user, Index item, double temperature) const {
    const double* h = states.data() + user * 6;
    double weights[3], sum = 0, largest = -1e300;
    const auto row = [&](Index l) { return digits[static_cast<std::size_t>(item * 3 + l)]; };
    for (Index l = 0; l < 3; ++l) {
      weights[l] = 0;
      for (Index j = 0; j < 6; ++j) {
        weights[l] += h[j] * keys[static_cast<std::size_t>(row(l) * 6 + j)];
      }
      largest = std::max(largest, weights[l]);
    }
    for (double& w : weights) { sum += w = std::exp(w - largest); }
    double dot = 0, square = 0, length = 0;
    for (Index j = 0; j < 6; ++j) {
      double e = 0;
      for (Index l = 0; l < 3; ++l) {
        e += weights[l] / sum * keys[static_cast<std::size_t>((11 + row(l)) * 6 + j)];
      }
      dot += h[j] * e;
      square += e * e;
      length += h[j] * h[j];
    }
    return dot / std::sqrt(square * length) / temperature;
  }
};

}  // namespace

TEST_CASE("the scores of pairs are the cosines of items that were really pooled") {
  Pairs pairs;
  const Matrix<double> scores = pairs.scores(0.07);
  for (Index u = 0; u < 5; ++u) {
    for (Index i = 0; i < 7; ++i) {
      CHECK(scores(u, i) == doctest::Approx(pairs.naive(u, i, 0.07)).epsilon(1e-12));
    }
  }
}
TEST_CASE("digits far below the user's favourite one are weighed among themselves") {
  Pairs pairs;
  for (std::size_t k = 0; k < 11 * 6; ++k) { pairs.keys[k] *= 300; }
  const Matrix<double> scores = pairs.scores(1);
  for (Index u = 0; u < 5; ++u) {
    for (Index i = 0; i < 7; ++i) {
      CHECK(scores(u, i) == doctest::Approx(pairs.naive(u, i, 1)).epsilon(1e-10));
    }
  }
}
