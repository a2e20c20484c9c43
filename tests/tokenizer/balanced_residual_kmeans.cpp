// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/balanced_residual_kmeans.hpp>

#include <doctest/doctest.h>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

/// Most rows in one corner, as items are.
simgr::OwnedMatrix<float> skewed_rows(Index rows, Index width, std::uint64_t seed) {
  simgr::OwnedMatrix<float> x(rows, width);
  simgr::Rng rng(seed);
  for (Index row = 0; row < rows; ++row) {
    const double spread = row % 4 == 0 ? 3.0 : 0.5;
    for (Index k = 0; k < width; ++k) {
      x.view()(row, k) = static_cast<float>(spread * rng.normal());
    }
  }
  return x;
}

}  // namespace

TEST_CASE("every level uses its codes evenly, and ids are those of the codebooks") {
  const auto x = skewed_rows(650, 7, 1);
  const ResidualKMeansConfig config{.levels = 3, .codes = 16, .iterations = 8};
  const ResidualKMeans even = fit_balanced_residual_kmeans(x, config);
  for (const DigitUsage& usage : collision_report(even.ids).digits) {
    CHECK(usage.used == 16);
    CHECK(usage.perplexity > 15.99);
  }
  CHECK(encode_balanced(even.quantizer, x).values == even.ids.codes.values);
  for (std::size_t l = 1; l < 3; ++l) { CHECK(even.error[l] < even.error[l - 1]); }
  const ResidualKMeans free = fit_residual_kmeans(x, config);
  CHECK(collision_report(free.ids).digits[0].perplexity < 15.5);
  CHECK(even.error[0] > free.error[0]);  // the price, most of it on outliers
  CHECK(even.error[0] < 2 * free.error[0]);
  CHECK(collision_report(resolve_collisions(even.quantizer, x, even.ids, Collision::nearest_free))
            .distinct == 650);
}

TEST_CASE("balanced rounds bring distances down") {
  const auto x = skewed_rows(400, 5, 2);
  const ResidualKMeansConfig config{.levels = 1, .codes = 8, .iterations = 8};
  CHECK(fit_balanced_residual_kmeans(x, config, 6).error[0] <
        fit_balanced_residual_kmeans(x, config, 0).error[0]);
}

TEST_CASE("balanced residual k-means refuses what residual k-means refuses") {
  const auto x = skewed_rows(20, 3, 3);
  CHECK_THROWS_AS(fit_balanced_residual_kmeans(x, {.levels = 0}), simgr::ConfigError);
  CHECK_THROWS_AS(fit_balanced_residual_kmeans(simgr::OwnedMatrix<float>(0, 3)), simgr::DataError);
  CHECK(fit_balanced_residual_kmeans(skewed_rows(1, 3, 4), {.levels = 2, .codes = 4}).ids.items() ==
        1);
}
