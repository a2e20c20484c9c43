// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/head_products.hpp>

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using namespace simgr;

namespace {

template <class T>
Matrix<T> normal(Arena& arena, Rng& rng, Index rows, Index cols) {
  const Matrix<T> x = arena.take<T>(Shape<2>{rows, cols});
  for (T& value : x) { value = static_cast<T>(rng.normal()); }
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("Products of heads are the plain sums, in place among other columns", T, float,
                   double) {
  using Products = cpu::detail::HeadProducts<T>;
  Arena arena;
  Rng rng(5, 2);
  for (const Index rows : {1, 2, 3, 5, 6, 20, 23}) {
    for (const auto& [inner, cols] :
         {std::pair<Index, Index>{7, 16}, {80, 64}, {16, 80}, {9, 3}, {20, 37}}) {
      for (const Write write : {Write::assign, Write::add}) {
        for (const bool turned : {false, true}) {
          const Matrix<T> a = turned ? normal<T>(arena, rng, inner, rows + 3)
                                     : normal<T>(arena, rng, rows, inner + 3),
                          b = normal<T>(arena, rng, inner, cols + 5),
                          y = normal<T>(arena, rng, rows, cols + 2),
                          before = arena.take<T>(y.shape());
          std::copy(y.begin(), y.end(), before.begin());
          const cpu::detail::HeadRows<const T> as_stored{a.data() + 1, a.cols()};
          Products::multiply(turned ? as_stored.transposed() : as_stored, {b.data() + 4, b.cols()},
                             {y.data() + 1, y.cols()}, rows, inner, cols, write);
          double worst = 0;
          for (Index i = 0; i < rows; ++i) {
            for (Index c = 0; c < cols; ++c) {
              double sum = write == Write::add ? static_cast<double>(before(i, c + 1)) : 0;
              for (Index j = 0; j < inner; ++j) {
                sum += static_cast<double>(turned ? a(j, i + 1) : a(i, j + 1)) *
                       static_cast<double>(b(j, c + 4));
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
  }
}

TEST_CASE_TEMPLATE("Products of pairs of rows are the plain sums", T, float, double) {
  Arena arena;
  cpu::Context ctx{arena};
  Rng rng(5, 3);
  for (const auto& [rows, cols] : {std::pair<Index, Index>{1, 1}, {3, 16}, {20, 20}, {7, 33}}) {
    for (const Index inner : {3, 16, 64}) {
      const Matrix<T> a = normal<T>(arena, rng, rows, inner + 1),
                      b = normal<T>(arena, rng, cols, inner + 2),
                      y = arena.take<T>(Shape<2>{rows, cols});
      cpu::detail::HeadProducts<T>::multiply_pairs(
          ctx, {a.data() + 1, a.cols()}, {b.data() + 2, b.cols()}, y.data(), rows, inner, cols);
      double worst = 0;
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < cols; ++j) {
          double sum = 0;
          for (Index d = 0; d < inner; ++d) {
            sum += static_cast<double>(a(i, d + 1)) * static_cast<double>(b(j, d + 2));
          }
          worst = std::max(worst, std::abs(sum - static_cast<double>(y(i, j))));
        }
      }
      CHECK(worst < 1e-4);
    }
  }
}

TEST_CASE_TEMPLATE("Keys are turned, and zeros stand behind them", T, float, double) {
  using Products = cpu::detail::HeadProducts<T>;
  Arena arena;
  const Matrix<T> keys = arena.take<T>(Shape<2>{33, 70});
  for (Index i = 0; i < keys.size(); ++i) { keys.data()[i] = static_cast<T>(i + 1); }
  for (const Index rows : {1, 16, 32, 33}) {
    for (const Index cols : {3, 16, 48}) {
      const Index wide = Products::padded(rows);
      const Matrix<T> turned = arena.take<T>(Shape<2>{cols, wide});
      Products::turn({keys.data() + 2, 70}, rows, cols, turned.data());
      bool same = true;
      for (Index j = 0; j < cols; ++j) {
        for (Index i = 0; i < wide; ++i) {
          same = same && turned(j, i) == (i < rows ? keys(i, j + 2) : T(0));
        }
      }
      CHECK(same);
    }
  }
}
