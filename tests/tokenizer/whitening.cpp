// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/whitening.hpp>

#include <cmath>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

/// Rows of independent Gaussian coordinates of deviation 1, 2, 3, … mixed by a shear, off centre.
simgr::OwnedMatrix<float> cloud(Index rows, Index width) {
  simgr::OwnedMatrix<float> x(rows, width);
  simgr::Rng rng(3);
  for (Index row = 0; row < rows; ++row) {
    double before = 0;
    for (Index k = 0; k < width; ++k) {
      const double value = static_cast<double>(k + 1) * rng.normal() + 0.5 * before + 10;
      x.view()(row, k) = static_cast<float>(value);
      before = value;
    }
  }
  return x;
}

/// Σ over rows of (y_a - mean)(y_b - mean) / (rows - 1).
double covariance(const simgr::OwnedMatrix<float>& y, Index a, Index b) {
  double mean_a = 0, mean_b = 0, sum = 0;
  for (Index row = 0; row < y.rows; ++row) {
    mean_a += static_cast<double>(y.view()(row, a)) / static_cast<double>(y.rows);
    mean_b += static_cast<double>(y.view()(row, b)) / static_cast<double>(y.rows);
  }
  for (Index row = 0; row < y.rows; ++row) {
    sum += (static_cast<double>(y.view()(row, a)) - mean_a) *
           (static_cast<double>(y.view()(row, b)) - mean_b);
  }
  return sum / static_cast<double>(y.rows - 1);
}

}  // namespace

TEST_CASE("principal coordinates are uncorrelated, centred, and fall in variance") {
  const auto x = cloud(501, 6);
  const Pca fitted = fit_pca(x, {.width = 4});
  const auto y = fitted.apply(x);
  REQUIRE(y.cols == 4);
  double total = 0, kept = 0;
  for (Index k = 0; k < 6; ++k) { total += covariance(x, k, k); }
  for (Index a = 0; a < 4; ++a) {
    for (Index b = 0; b < 4; ++b) {
      CHECK(covariance(y, a, b) ==
            doctest::Approx(a == b ? fitted.variances[static_cast<std::size_t>(a)] : 0.0)
                .epsilon(1e-4)
                .scale(1));
    }
    kept += covariance(y, a, a);
    double mean = 0;
    for (Index row = 0; row < y.rows; ++row) {
      mean += static_cast<double>(y.view()(row, a)) / 501;
    }
    CHECK(std::fabs(mean) < 1e-4);
  }
  CHECK(std::is_sorted(fitted.variances.rbegin(), fitted.variances.rend()));
  CHECK(kept / total > 4.0 / 6);
  CHECK(pca(x, 4).values == y.values);
}

TEST_CASE("at full width distances between rows are kept") {
  const auto x = cloud(60, 5);
  const auto y = pca(x, 5);
  for (Index row = 1; row < 60; ++row) {
    CHECK(squared_distance(y.view().row(0), y.view().row(row)) ==
          doctest::Approx(squared_distance(x.view().row(0), x.view().row(row))).epsilon(1e-4));
  }
}

TEST_CASE("whitened coordinates have variance one, and none where there is nothing to whiten") {
  auto x = cloud(400, 5);
  for (Index row = 0; row < 400; ++row) { x.view()(row, 4) = x.view()(row, 1); }  // rank 4
  const auto y = whiten(x);
  for (Index a = 0; a < 5; ++a) {
    for (Index b = 0; b < 5; ++b) {
      CHECK(covariance(y, a, b) ==
            doctest::Approx(a == b && a < 4 ? 1.0 : 0.0).epsilon(1e-3).scale(1));
    }
  }
  for (Index row = 0; row < 400; ++row) { CHECK(y.view()(row, 4) == 0.0f); }
}

TEST_CASE("one row, and equal rows, whiten to zeros") {
  const auto one = whiten(cloud(1, 3));
  CHECK(one.values == std::vector<float>(3));
  simgr::OwnedMatrix<float> equal(7, 2);
  std::fill(equal.values.begin(), equal.values.end(), 0.5f);
  CHECK(whiten(equal).values == std::vector<float>(14));
}

TEST_CASE("rows that are not finite and widths that do not fit are refused") {
  auto x = cloud(5, 3);
  CHECK_THROWS_AS(fit_pca(x, {.width = 4}), simgr::ConfigError);
  CHECK_THROWS_AS(fit_pca(x, {.width = -1}), simgr::ConfigError);
  const Pca fitted = fit_pca(x);
  CHECK_THROWS_AS(fitted.apply(cloud(2, 4)), simgr::ShapeError);
  x.view()(3, 1) = std::nanf("");
  CHECK_THROWS_AS(fit_pca(x), simgr::DataError);
}
