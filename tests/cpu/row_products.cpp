// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/row_products.hpp>

#include <algorithm>
#include <utility>
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
  for (const Index rows : {4, 5, 6, 7, 8, 9, 10, 11, 20, 31, 239, 240, 241, 485, 1100}) {
    for (const auto& [cols, inner] :
         {std::pair<Index, Index>{32, 16}, {96, 48}, {32, 128}, {32, 1024}, {257, 32}, {274, 16}}) {
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
      CHECK(worst < 1e-6 * std::max(100.0, static_cast<double>(inner)));  // sums of more round more
      const Matrix<float> few = ctx.take<float>(4, cols);
      gemm_nt(ctx, MatrixArg<float>(x.slice(rows - 4, 4)), MatrixArg<float>(w), few, Write::assign);
      CHECK(std::equal(few.begin(), few.end(), y.row(rows - 4).data()));
      cpu::PackedMatrices packed;
      packed.add(w);
      cpu::Context with_copies{arena};
      with_copies.packed = &packed;
      const Matrix<float> z = ctx.take<float>(rows, cols);
      gemm_nt(with_copies, MatrixArg<float>(x), MatrixArg<float>(w), z, Write::assign);
      CHECK(std::equal(y.begin(), y.end(), z.begin()));
      const Vector<const float> bias = start.row(0);
      affine_rows(ctx, MatrixArg<float>(x), MatrixArg<float>(w), bias, z);
      add_to_rows(ctx, bias, y);
      CHECK(std::equal(y.begin(), y.end(), z.begin()));
    }
  }
  CHECK(!cpu::suits_row_products(3, 32, 16));
  CHECK(!cpu::suits_row_products(4, 33, 16));  // the second panel would be almost empty
  CHECK(!cpu::suits_row_products(4, 32, 15));
}

TEST_CASE("Packed matrices are found by their first element alone, and only whole ones are kept") {
  Arena arena;
  cpu::Context ctx{arena};
  cpu::PackedMatrices packed;
  CHECK(packed.find(nullptr) == nullptr);
  std::vector<Matrix<float>> kept;
  for (Index i = 0; i < 3; ++i) {
    kept.push_back(ctx.take<float>(64, 32));
    std::fill(kept.back().begin(), kept.back().end(), static_cast<float>(i + 1));
  }
  const Matrix<float> odd = ctx.take<float>(33, 32);
  for (const Index i : {2, 0, 1}) { packed.add(kept[static_cast<std::size_t>(i)]); }
  packed.add(odd);
  for (Index i = 0; i < 3; ++i) {
    const float* const found = packed.find(kept[static_cast<std::size_t>(i)].data());
    REQUIRE(found != nullptr);
    CHECK(found[0] == static_cast<float>(i + 1));
    CHECK(packed.find(kept[static_cast<std::size_t>(i)].data() + 1) == nullptr);
  }
  CHECK(packed.find(odd.data()) == nullptr);
  packed.clear();
  CHECK(packed.find(kept[0].data()) == nullptr);
}
