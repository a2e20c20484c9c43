// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/head_products.hpp>

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using namespace simgr;

TEST_CASE_TEMPLATE("Products of heads are the plain sums, in place among other columns", T, float,
                   double) {
  using Products = cpu::detail::HeadProducts<T>;
  Arena arena;
  Rng rng(5, 2);
  const auto normal = [&](Index rows, Index cols) {
    const Matrix<T> x = arena.take<T>(Shape<2>{rows, cols});
    for (T& value : x) { value = static_cast<T>(rng.normal()); }
    return x;
  };
  for (const Index rows : {1, 2, 3, 5, 6, 20, 23}) {
    for (const auto& [inner, cols] : {std::pair<Index, Index>{7, 16}, {80, 64}, {16, 80}}) {
      REQUIRE(Products::suits(cols));
      const Matrix<T> a = normal(rows, inner + 3), b = normal(inner, cols + 5),
                      y = normal(rows, cols + 2), before = arena.take<T>(y.shape());
      std::copy(y.begin(), y.end(), before.begin());
      Products::multiply({a.data() + 1, a.cols()}, {b.data() + 4, b.cols()},
                         {y.data() + 1, y.cols()}, rows, inner, cols);
      double worst = 0;
      for (Index i = 0; i < rows; ++i) {
        for (Index c = 0; c < cols; ++c) {
          double sum = 0;
          for (Index j = 0; j < inner; ++j) {
            sum += static_cast<double>(a(i, j + 1)) * static_cast<double>(b(j, c + 4));
          }
          worst = std::max(worst, std::abs(sum - static_cast<double>(y(i, c + 1))));
        }
        CHECK(y(i, 0) == before(i, 0));
        CHECK(y(i, cols + 1) == before(i, cols + 1));
      }
      CHECK(worst < 1e-4);
    }
  }
}

TEST_CASE("Keys are turned whole or not at all") {
  using Products = cpu::detail::HeadProducts<float>;
  Arena arena;
  const Matrix<float> keys = arena.take<float>(Shape<2>{32, 70});
  for (Index i = 0; i < keys.size(); ++i) { keys.data()[i] = static_cast<float>(i); }
  const Matrix<float> turned = arena.take<float>(Shape<2>{48, 32});
  REQUIRE(Products::turns(32, 48));
  Products::turn({keys.data() + 2, 70}, 32, 48, turned.data());
  bool same = true;
  for (Index i = 0; i < 32; ++i) {
    for (Index j = 0; j < 48; ++j) { same = same && turned(j, i) == keys(i, j + 2); }
  }
  CHECK(same);
  CHECK_FALSE(Products::turns(33, 48));
  CHECK_FALSE(Products::turns(32, 47));
  CHECK_FALSE(cpu::detail::HeadProducts<double>::turns(32, 48));
}
