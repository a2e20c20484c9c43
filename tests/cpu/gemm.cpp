// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/gemm.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr;

namespace {

template <class T>
std::vector<T> normal_factors(Index count, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<double> normal;
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) { value = static_cast<T>(normal(rng)); }
  return values;
}

/// The largest difference from the three products one element at a time, over all ways and writes.
template <class T>
double worst_product(Index rows, Index inner, Index cols) {
  Arena arena;
  cpu::Context ctx{arena};
  const auto a = normal_factors<T>(rows * inner, 1), b = normal_factors<T>(inner * cols, 2),
             before = normal_factors<T>(rows * cols, 3);
  std::vector<T> turned_a(a.size()), turned_b(b.size());
  for (Index j = 0; j < inner; ++j) {
    for (Index i = 0; i < rows; ++i) {
      turned_a[static_cast<std::size_t>(j * rows + i)] = a[static_cast<std::size_t>(i * inner + j)];
    }
    for (Index c = 0; c < cols; ++c) {
      turned_b[static_cast<std::size_t>(c * inner + j)] = b[static_cast<std::size_t>(j * cols + c)];
    }
  }
  const MatrixArg<T> left(a.data(), {rows, inner}), right(b.data(), {inner, cols}),
      left_turned(turned_a.data(), {inner, rows}), right_turned(turned_b.data(), {cols, inner});
  double worst = 0;
  for (const Write write : {Write::assign, Write::add}) {
    for (int way = 0; way < 3; ++way) {
      std::vector<T> found = before;
      const Matrix<T> y(found.data(), {rows, cols});
      way == 0   ? cpu::gemm_nn<T>(ctx, left, right, y, write)
      : way == 1 ? cpu::gemm_nt<T>(ctx, left, right_turned, y, write)
                 : cpu::gemm_tn<T>(ctx, left_turned, right, y, write);
      for (Index i = 0; i < rows; ++i) {
        for (Index c = 0; c < cols; ++c) {
          double sum =
              write == Write::add ? double(before[static_cast<std::size_t>(i * cols + c)]) : 0.0;
          for (Index j = 0; j < inner; ++j) { sum += double(left(i, j)) * double(right(j, c)); }
          worst = std::max(worst, std::abs(sum - double(y(i, c))));
        }
      }
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("products of every shape are those of one element at a time") {
  // Around the numbers of rows, of columns and of the inner extent where another kernel takes over.
  for (const Index rows : {1, 15, 16, 17, 63, 64, 71}) {
    for (const Index cols : {1, 16, 31, 48, 64, 80, 144}) {
      for (const Index inner : {0, 1, 7, 96, 97, 200}) {
        CAPTURE(rows);
        CAPTURE(cols);
        CAPTURE(inner);
        CHECK(worst_product<float>(rows, inner, cols) < 1e-4);
        CHECK(worst_product<double>(rows, inner, cols) < 1e-12);
      }
    }
  }
}

TEST_CASE("products of many rows, whose factors are gathered, are those of one element at a time") {
  for (const Index rows : {480, 511, 512, 517, 1003}) {
    for (const Index cols : {48, 80}) {
      CAPTURE(rows);
      CAPTURE(cols);
      CHECK(worst_product<float>(rows, 130, cols) < 1e-4);
      CHECK(worst_product<double>(rows, 130, cols) < 1e-12);
    }
  }
}

TEST_CASE("a row of a product has the same bits in every company") {
  Arena arena;
  cpu::Context ctx{arena};
  constexpr Index most = 100, inner = 70, cols = 64;
  const auto a = normal_factors<float>(most * inner, 1), b = normal_factors<float>(inner * cols, 2);
  const auto product = [&](Index first, Index rows) {
    std::vector<float> y(static_cast<std::size_t>(rows * cols));
    cpu::gemm_nt<float>(ctx, MatrixArg<float>(a.data() + first * inner, {rows, inner}),
                        MatrixArg<float>(b.data(), {cols, inner}),
                        Matrix<float>(y.data(), {rows, cols}), Write::assign);
    return std::vector<float>(y.begin(), y.begin() + 10 * cols);
  };
  CHECK(product(20, 64) == product(20, 80));
  CHECK(product(20, 64) == product(20, 71));
}
