// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/row_products.hpp>

#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>
#include <simgr/cpu/gemm.hpp>

using namespace simgr;

TEST_CASE("Products of rows are the plain sums, and no row depends on the others") {
  Arena arena;
  cpu::Context ctx{arena};
  Rng rng(3, 1);
  const auto normal = [&](Index rows, Index cols) {
    const Matrix<float> x = ctx.take<float>(rows, cols);
    for (float& value : x) { value = static_cast<float>(rng.normal()); }
    return x;
  };
  for (const Index rows : {4, 5, 6, 7, 8, 9, 10, 11, 20, 31, 239, 240, 241, 485}) {
    for (const auto& [cols, inner] : {std::pair<Index, Index>{32, 16}, {96, 48}, {32, 128}}) {
      REQUIRE(cpu::suits_row_products(rows, cols, inner));
      const Matrix<float> x = normal(rows, inner), w = normal(cols, inner),
                          start = normal(rows, cols);
      const Matrix<float> y = ctx.take<float>(rows, cols), added = ctx.take<float>(rows, cols);
      std::copy(start.begin(), start.end(), added.begin());
      gemm_nt(ctx, MatrixArg<float>(x), MatrixArg<float>(w), y, Write::assign);
      gemm_nt(ctx, MatrixArg<float>(x), MatrixArg<float>(w), added, Write::add);
      double worst = 0;
      for (Index i = 0; i < rows; ++i) {
        for (Index c = 0; c < cols; ++c) {
          double sum = 0;
          for (Index j = 0; j < inner; ++j) {
            sum += static_cast<double>(x(i, j)) * static_cast<double>(w(c, j));
          }
          worst = std::max({worst, std::abs(sum - static_cast<double>(y(i, c))),
                            std::abs(sum + static_cast<double>(start(i, c)) -
                                     static_cast<double>(added(i, c)))});
        }
      }
      CHECK(worst < 1e-4);
      const Matrix<float> few = ctx.take<float>(4, cols);
      gemm_nt(ctx, MatrixArg<float>(x.slice(rows - 4, 4)), MatrixArg<float>(w), few, Write::assign);
      CHECK(std::equal(few.begin(), few.end(), y.row(rows - 4).data()));
    }
  }
  CHECK(!cpu::suits_row_products(3, 32, 16));
  CHECK(!cpu::suits_row_products(4, 33, 16));
  CHECK(!cpu::suits_row_products(4, 32, 15));
}
