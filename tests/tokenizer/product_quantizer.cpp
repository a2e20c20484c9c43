// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/product_quantizer.hpp>

#include <cmath>
#include <thread>

#include <doctest/doctest.h>

#include <simgr/tokenizer/collision.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

/// Rows whose coordinates hang together, so that a rotation pays.
simgr::OwnedMatrix<float> correlated_rows(Index rows, Index width, std::uint64_t seed) {
  simgr::OwnedMatrix<float> x(rows, width);
  simgr::Rng rng(seed), mix(99);
  std::vector<double> map(static_cast<std::size_t>(3 * width));
  for (double& value : map) { value = mix.normal(); }
  for (Index row = 0; row < rows; ++row) {
    const double hidden[3] = {rng.normal(), rng.normal(), rng.normal()};
    for (Index k = 0; k < width; ++k) {
      double value = 0.2 * rng.normal();
      for (std::size_t h = 0; h < 3; ++h) {
        value += hidden[h] * map[h * static_cast<std::size_t>(width) + static_cast<std::size_t>(k)];
      }
      x.view()(row, k) = static_cast<float>(value);
    }
  }
  return x;
}

struct HalfAndHalf {
  template <class F>
  void for_each(Index count, F&& f) const {
    std::thread other([&] {
      for (Index i = count - 1; i >= count / 2; --i) { f(i); }
    });
    for (Index i = 0; i < count / 2; ++i) { f(i); }
    other.join();
  }
};

double mean_distance(const simgr::OwnedMatrix<float>& a, const simgr::OwnedMatrix<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const double gap = static_cast<double>(a.values[i]) - static_cast<double>(b.values[i]);
    sum += gap * gap;
  }
  return sum / static_cast<double>(a.rows);
}

}  // namespace

TEST_CASE("a product quantizer names the nearest centroid of every part") {
  const auto x = correlated_rows(500, 12, 1);
  const auto found = fit_product_quantizer(x, {.digits = 4, .codes = 8, .rotations = 3});
  const ProductQuantizer& quantizer = found.quantizer;
  CHECK(found.ids.codes_per_digit == std::vector<Index>(4, 8));
  CHECK(quantizer.encode(x).values == found.ids.codes.values);
  const auto y = quantizer.rotate(x);
  for (Index row = 0; row < x.rows; ++row) {
    for (Index digit = 0; digit < 4; ++digit) {
      const auto codebook = quantizer.codebooks[static_cast<std::size_t>(digit)].view();
      double best = 1e30, chosen = 0;
      for (Index c = 0; c < 8; ++c) {
        double distance = 0;
        for (Index k = 0; k < 3; ++k) {
          const double gap = static_cast<double>(y.view()(row, 3 * digit + k)) -
                             static_cast<double>(codebook(c, k));
          distance += gap * gap;
        }
        best = std::min(best, distance);
        chosen = c == found.ids.codes.view()(row, digit) ? distance : chosen;
      }
      CHECK(chosen <= best + 1e-5);
    }
  }
  CHECK(found.error.back() ==
        doctest::Approx(mean_distance(y, quantizer.decode(found.ids.codes))).epsilon(1e-4));
}

TEST_CASE("the rotation is orthonormal, and every one of them leaves less over") {
  const auto x = correlated_rows(900, 16, 2);
  const auto found = fit_product_quantizer(x, {.digits = 4, .codes = 16, .rotations = 12});
  const auto r = found.quantizer.rotation.view();
  for (Index i = 0; i < 16; ++i) {
    for (Index j = 0; j < 16; ++j) {
      double dot = 0;
      for (Index k = 0; k < 16; ++k) {
        dot += static_cast<double>(r(i, k)) * static_cast<double>(r(j, k));
      }
      CHECK(dot == doctest::Approx(i == j ? 1.0 : 0.0).epsilon(1e-6));
    }
  }
  REQUIRE(found.error.size() == 13);
  for (std::size_t i = 1; i < found.error.size(); ++i) {
    CHECK(found.error[i] <= found.error[i - 1] * (1 + 1e-6));
  }
  const auto plain = fit_product_quantizer(x, {.digits = 4, .codes = 16, .rotations = 0});
  CHECK(plain.quantizer.rotation.empty());
  CHECK(found.error.back() < 0.9 * plain.error.back());
}

TEST_CASE("as codebooks in a row a product quantizer gives the same codes") {
  const auto x = correlated_rows(300, 12, 3);
  const auto found = fit_product_quantizer(x, {.digits = 3, .codes = 16, .rotations = 2});
  const ResidualQuantizer residual = found.quantizer.as_residual();
  CHECK(residual.encode(found.quantizer.rotate(x)).values == found.ids.codes.values);
}

TEST_CASE("product quantisation gives the same bits on one thread and on two") {
  const auto x = correlated_rows(1500, 24, 4);
  const ProductQuantizerConfig config{.digits = 8, .codes = 32, .rotations = 4};
  const auto serial = fit_product_quantizer(x, config);
  const auto threaded = fit_product_quantizer(x, config, HalfAndHalf{});
  CHECK(serial.quantizer.rotation.values == threaded.quantizer.rotation.values);
  CHECK(serial.ids.codes.values == threaded.ids.codes.values);
  CHECK(serial.error == threaded.error);
}

TEST_CASE("a product quantizer that was fitted to some items encodes the others") {
  const auto x = correlated_rows(800, 12, 5), rest = correlated_rows(200, 12, 6);
  const auto found = fit_product_quantizer(x, {.digits = 4, .codes = 32, .rotations = 5});
  const auto codes = found.quantizer.encode(rest);
  const double error = mean_distance(found.quantizer.rotate(rest), found.quantizer.decode(codes));
  CHECK(error < 1.6 * found.error.back());
}

TEST_CASE("fewer items than codes, and constant vectors, are no obstacle") {
  const auto few =
      fit_product_quantizer(correlated_rows(5, 4, 7), {.digits = 2, .codes = 16, .rotations = 3});
  CHECK(few.error.back() < 1e-9);
  simgr::OwnedMatrix<float> equal(40, 6);
  std::fill(equal.values.begin(), equal.values.end(), 0.5f);
  const auto one = fit_product_quantizer(equal, {.digits = 3, .codes = 4, .rotations = 3});
  CHECK(collision_report(one.ids).distinct == 1);
  CHECK(one.error.back() < 1e-9);
}

TEST_CASE("product quantisation refuses settings without meaning") {
  const auto x = correlated_rows(20, 10, 8);
  CHECK_THROWS_WITH_AS(fit_product_quantizer(x, {.digits = 4}),
                       "digits: expected a divisor of the vectors' width 10, found 4",
                       simgr::ConfigError);
  CHECK_THROWS_AS(fit_product_quantizer(x, {.digits = 2, .codes = 0}), simgr::ConfigError);
  const auto found = fit_product_quantizer(x, {.digits = 2, .codes = 4, .rotations = 1});
  CHECK_THROWS_AS(found.quantizer.encode(correlated_rows(3, 8, 9)), simgr::ShapeError);
}
