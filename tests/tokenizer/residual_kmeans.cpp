// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/residual_kmeans.hpp>

#include <cmath>
#include <thread>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::SemanticIds;
using namespace simgr::tokenizer;

namespace {

simgr::OwnedMatrix<float> residual_rows(Index rows, Index width, std::uint64_t seed) {
  simgr::OwnedMatrix<float> x(rows, width);
  simgr::Rng rng(seed);
  for (float& value : x.values) { value = static_cast<float>(rng.normal()); }
  return x;
}

struct TwoWorkers {
  template <class F>
  void for_each(Index count, F&& f) const {
    std::thread other([&] {
      for (Index i = 1; i < count; i += 2) { f(i); }
    });
    for (Index i = 0; i < count; i += 2) { f(i); }
    other.join();
  }
};

}  // namespace

TEST_CASE("ids of text vectors in one call are unique, with one digit more than levels") {
  auto vectors = residual_rows(700, 6, 1);
  std::copy_n(vectors.values.begin(), 6, vectors.values.begin() + 60);  // items 0 and 10 are equal
  const SemanticIds ids = residual_kmeans(vectors, {.levels = 2, .codes = 16});
  CHECK(ids.digits() == 3);
  CHECK(ids.items() == 700);
  CHECK(ids.codes_per_digit[0] == 16);
  CHECK(collision_report(ids).distinct == 700);
  CHECK(ids.codes.view()(0, 2) != ids.codes.view()(10, 2));
}

TEST_CASE("collisions are kept or moved when asked") {
  auto vectors = residual_rows(700, 6, 1);
  std::copy_n(vectors.values.begin(), 6, vectors.values.begin() + 60);
  const SemanticIds kept =
      residual_kmeans(vectors, {.levels = 2, .codes = 32, .collision = Collision::keep});
  CHECK(kept.digits() == 2);
  CHECK(collision_report(kept).distinct < 700);
  const SemanticIds moved =
      residual_kmeans(vectors, {.levels = 2, .codes = 32, .collision = Collision::nearest_free});
  CHECK(moved.digits() == 2);
  CHECK(collision_report(moved).distinct == 700);
}

TEST_CASE("a view is as good as a matrix that owns its memory") {
  auto vectors = residual_rows(50, 3, 2);
  const simgr::Matrix<float> view = vectors.view();
  CHECK(residual_kmeans(view, {.levels = 2, .codes = 4}).codes.values ==
        residual_kmeans(vectors, {.levels = 2, .codes = 4}).codes.values);
}

TEST_CASE("the quantizer encodes the vectors it was made from to the same codes") {
  const auto vectors = residual_rows(1201, 19, 3);
  for (const bool normalise : {false, true}) {
    const ResidualKMeans found =
        fit_residual_kmeans(vectors, {.levels = 3, .codes = 20, .normalise_residuals = normalise});
    CHECK(found.quantizer.encode(vectors).values == found.ids.codes.values);
    CHECK(found.quantizer.encode(vectors, TwoWorkers{}).values == found.ids.codes.values);
    CHECK(found.ids.codes_per_digit == found.quantizer.codes_per_level());
  }
}

TEST_CASE("every level leaves less over, and the error is the distance to the sum of codewords") {
  const auto vectors = residual_rows(600, 5, 4);
  const ResidualKMeans found = fit_residual_kmeans(vectors, {.levels = 4, .codes = 10});
  for (std::size_t l = 1; l < 4; ++l) { CHECK(found.error[l] < found.error[l - 1]); }
  double error = 0;
  for (Index item = 0; item < 600; ++item) {
    for (Index k = 0; k < 5; ++k) {
      double rest = static_cast<double>(vectors.view()(item, k));
      for (Index l = 0; l < 4; ++l) {
        rest -= static_cast<double>(found.quantizer.codebooks[static_cast<std::size_t>(l)].view()(
            found.ids.codes.view()(item, l), k));
      }
      error += rest * rest;
    }
  }
  CHECK(found.error[3] == doctest::Approx(error / 600).epsilon(1e-4));
}

TEST_CASE("residual k-means gives the same bits on one thread and on two") {
  const auto vectors = residual_rows(3001, 24, 5);
  const ResidualKMeansConfig config{.levels = 3, .codes = 64, .iterations = 5};
  const ResidualKMeans serial = fit_residual_kmeans(vectors, config);
  const ResidualKMeans threaded = fit_residual_kmeans(vectors, config, {}, TwoWorkers{});
  CHECK(serial.ids.codes.values == threaded.ids.codes.values);
  for (std::size_t l = 0; l < 3; ++l) {
    CHECK(serial.quantizer.codebooks[l].values == threaded.quantizer.codebooks[l].values);
  }
  CHECK(serial.error == threaded.error);
}

TEST_CASE("a catalogue of one item, and a catalogue of equal items, get ids") {
  const SemanticIds one = residual_kmeans(residual_rows(1, 4, 6));
  CHECK(one.codes.values == std::vector<std::int32_t>{0, 0, 0, 0, 0});
  simgr::OwnedMatrix<float> equal(300, 4);
  std::fill(equal.values.begin(), equal.values.end(), 0.25f);
  const SemanticIds ids = residual_kmeans(equal, {.levels = 2, .codes = 256});
  CHECK(ids.codes_per_digit[2] == 300);
  CHECK(collision_report(ids).distinct == 300);
  const SemanticIds moved =
      residual_kmeans(equal, {.levels = 2, .codes = 256, .collision = Collision::nearest_free});
  CHECK(collision_report(moved).distinct == 300);
}

TEST_CASE("rows of zeros survive the normalisation of residuals") {
  auto vectors = residual_rows(40, 3, 7);
  std::fill_n(vectors.values.begin(), 3, 0.0f);
  const ResidualKMeans found =
      fit_residual_kmeans(vectors, {.levels = 2, .codes = 8, .normalise_residuals = true});
  for (const double error : found.error) { CHECK(std::isfinite(error)); }
}

TEST_CASE("bad vectors and settings are refused") {
  auto vectors = residual_rows(10, 3, 8);
  CHECK_THROWS_AS(residual_kmeans(vectors, {.levels = 0}), simgr::ConfigError);
  CHECK_THROWS_AS(residual_kmeans(vectors, {.codes = 0}), simgr::ConfigError);
  vectors.view()(4, 1) = std::nanf("");
  CHECK_THROWS_WITH_AS(residual_kmeans(vectors),
                       "vectors: row 4, column 1: expected a finite number below 1e15, found nan",
                       simgr::DataError);
  vectors.view()(4, 1) = 0;
  const ResidualKMeans found = fit_residual_kmeans(vectors, {.levels = 1, .codes = 2});
  CHECK_THROWS_AS(found.quantizer.encode(residual_rows(5, 4, 9)), simgr::ShapeError);
  simgr::OwnedMatrix<Index> starts(2, 2);
  CHECK_THROWS_AS(fit_residual_kmeans(vectors, {.levels = 1, .codes = 2}, starts),
                  simgr::ShapeError);
}
