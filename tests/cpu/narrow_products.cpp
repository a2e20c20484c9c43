// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/narrow_products.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using namespace simgr;

namespace {

/// A random matrix as BFloat16, and the same numbers as T.
template <class T>
struct NarrowMatrix {
  Matrix<BFloat16> narrow;
  Matrix<T> wide;

  NarrowMatrix(cpu::Context& ctx, Index rows, Index cols, Rng& rng)
      : narrow(ctx.take<BFloat16>(rows, cols)), wide(ctx.take<T>(rows, cols)) {
    for (Index i = 0; i < narrow.size(); ++i) {
      narrow.data()[i].bits = bf16_from_float(static_cast<float>(rng.normal()));
      wide.data()[i] = widened(narrow.data()[i]);
    }
  }
};

template <class T>
Matrix<T> normal_matrix(cpu::Context& ctx, Index rows, Index cols, Rng& rng) {
  const Matrix<T> x = ctx.take<T>(rows, cols);
  for (T& value : x) { value = static_cast<T>(rng.normal()); }
  return x;
}

/// The largest difference, in units of what rounding may do to a sum of `inner` products.
template <class T>
double difference(Matrix<T> a, Matrix<T> b, Index inner) {
  double worst = 0;
  for (Index i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a.data()[i] - b.data()[i])));
  }
  return worst /
         (4 * static_cast<double>(inner) * static_cast<double>(std::numeric_limits<T>::epsilon()));
}

}  // namespace

TEST_CASE_TEMPLATE("products with a narrow matrix are those with the widened one", T, float,
                   double) {
  Arena arena;
  cpu::Context ctx{arena};
  Rng rng(5, 1);
  Index to_the_bit = 0;
  for (const Index rows : {1, 2, 3, 4, 7, 16, 63, 64, 65, 241}) {
    for (const auto& [cols, inner] : {std::pair<Index, Index>{7, 5},
                                      {32, 16},
                                      {64, 130},
                                      {96, 48},
                                      {33, 64},
                                      {128, 1024},
                                      {16, 9000}}) {
      CAPTURE(rows);
      CAPTURE(cols);
      CAPTURE(inner);
      Arena::Scope scope(arena);
      const NarrowMatrix<T> w(ctx, cols, inner, rng), turned(ctx, inner, cols, rng);
      const Matrix<T> x = normal_matrix<T>(ctx, rows, inner, rng),
                      start = normal_matrix<T>(ctx, rows, cols, rng);
      const Vector<const T> bias = start.row(0);
      const Matrix<T> y = ctx.take<T>(rows, cols), expected = ctx.take<T>(rows, cols);
      const auto check = [&](bool exact) {
        CHECK(difference(y, expected, inner) <= (exact ? 0.0 : 1.0));
        to_the_bit += exact;
      };
      // Where a kernel packs what it reads, the numbers are the same; where Eigen's products do, they
      // may be rounded in another order.
      const bool packets = cols % cpu::detail::PacketProducts<T>::lanes == 0;
      const bool panels = std::is_same_v<T, float> && cpu::suits_row_products(rows, cols, inner);
      for (const Write write : {Write::assign, Write::add}) {
        std::copy(start.begin(), start.end(), y.begin());
        std::copy(start.begin(), start.end(), expected.begin());
        gemm_nt(ctx, MatrixArg<T>(x), MatrixArg<BFloat16>(w.narrow), y, write);
        gemm_nt(ctx, MatrixArg<T>(x), MatrixArg<T>(w.wide), expected, write);
        check(panels || (packets && rows >= 64));
        std::copy(start.begin(), start.end(), y.begin());
        std::copy(start.begin(), start.end(), expected.begin());
        gemm_nn(ctx, MatrixArg<T>(x), MatrixArg<BFloat16>(turned.narrow), y, write);
        gemm_nn(ctx, MatrixArg<T>(x), MatrixArg<T>(turned.wide), expected, write);
        check(packets && rows >= 16);
      }
      affine_rows(ctx, MatrixArg<T>(x), MatrixArg<BFloat16>(w.narrow), bias, y);
      affine_rows(ctx, MatrixArg<T>(x), MatrixArg<T>(w.wide), bias, expected);
      check(panels || (packets && rows >= 64));
    }
  }
  CHECK(to_the_bit > 80);
}

TEST_CASE("every bfloat16 is widened exactly, by products and by gathers") {
  Arena arena;
  cpu::Context ctx{arena};
  constexpr Index cols = 64, rows = 65536 / cols;
  const Matrix<BFloat16> all = ctx.take<BFloat16>(rows, cols);
  for (Index i = 0; i < all.size(); ++i) { all.data()[i].bits = static_cast<std::uint16_t>(i); }
  std::vector<std::int32_t> back;
  for (Index i = rows; i-- > 0;) { back.push_back(static_cast<std::int32_t>(i)); }
  const Matrix<float> gathered = ctx.take<float>(rows, cols), copied = ctx.take<float>(rows, cols);
  gather_rows(ctx, MatrixArg<BFloat16>(all), std::span<const std::int32_t>(back), gathered);
  copy(ctx, MatrixArg<BFloat16>(all), copied, Write::assign);
  const auto same = [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  };
  Index wrong = 0;
  cpu::detail::Lanes lanes;
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      const float expected = float_from_bf16(all(i, j).bits);
      wrong += !same(gathered(rows - 1 - i, j), expected) || !same(copied(i, j), expected);
    }
    for (Index j = 0; j < cols; j += cpu::detail::lane_count) {
      cpu::detail::load(lanes, all.row(i).data() + j);
      for (Index l = 0; l < cpu::detail::lane_count; ++l) {
        wrong += !same(lanes[l], float_from_bf16(all(i, j + l).bits));
      }
    }
  }
  CHECK(wrong == 0);
}
