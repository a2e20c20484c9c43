// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/tile_products.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <support/gradient_check.hpp>

#include <simgr/core/float_formats.hpp>
#include <simgr/cpu/gemm.hpp>

namespace {

using namespace simgr;

std::vector<float> some(Index count, std::uint64_t seed) {
  const auto values = simgr_test::random_values(count, seed);
  return std::vector<float>(values.begin(), values.end());
}

enum class Form { nn, nt, tn };

/// The product that a Context asks for, beside the one of `left` and `right` in double.
struct Products {
  std::vector<float> found;
  std::vector<double> expected;

  template <class Left, class Right>
  Products(Form form, MatMul matmul, Index rows, Index inner, Index cols, Write write, Left&& left,
           Right&& right)
      : found(some(rows * cols, 3)), expected(found.begin(), found.end()) {
    const auto a = some(rows * inner, 1), b = some(inner * cols, 2);
    Arena arena;
    cpu::Context ctx{.arena = arena, .matmul = matmul};
    const Matrix<float> y{found.data(), {rows, cols}};
    const auto matrix = [](const std::vector<float>& values, Index r, Index c) {
      return MatrixArg<float>{values.data(), {r, c}};
    };
    switch (form) {
    case Form::nn:
      gemm_nn(ctx, matrix(a, rows, inner), matrix(b, inner, cols), y, write);
      break;
    case Form::nt:
      gemm_nt(ctx, matrix(a, rows, inner), matrix(b, cols, inner), y, write);
      break;
    case Form::tn:
      gemm_tn(ctx, matrix(a, inner, rows), matrix(b, inner, cols), y, write);
    }
    for (Index i = 0; i < rows; ++i) {
      for (Index c = 0; c < cols; ++c) {
        double sum = write == Write::add ? expected[static_cast<std::size_t>(i * cols + c)] : 0;
        for (Index j = 0; j < inner; ++j) {
          const auto at = [](Index index) { return static_cast<std::size_t>(index); };
          sum += left(a[at(form == Form::tn ? j * rows + i : i * inner + j)]) *
                 right(b[at(form == Form::nt ? c * inner + j : j * cols + c)]);
        }
        expected[static_cast<std::size_t>(i * cols + c)] = sum;
      }
    }
  }
  /// The largest difference, in units of the product's usual size.
  double worst(Index inner) const {
    double gap = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      gap = std::max(gap, std::abs(static_cast<double>(found[i]) - expected[i]));
    }
    return gap / std::sqrt(static_cast<double>(inner));
  }
};

double as_is(float x) {
  return static_cast<double>(x);
}
double rounded(float x) {
  return static_cast<double>(float_from_bf16(bf16_from_float(x)));
}

}  // namespace

TEST_CASE("products on tiles are those of rounded factors, and nearly those of floats by halves") {
  if (!cpu::has_tiles()) {
    std::puts("no tiles for bfloat16 on this processor: products in bf16 are products in fp32");
  }
  for (const auto& shape : {std::array<Index, 3>{16, 16, 16},
                            {17, 33, 18},
                            {64, 32, 64},
                            {100, 70, 47},
                            {300, 129, 40},
                            {40, 1100, 33},
                            {33, 40, 1050}}) {
    const Index rows = shape[0], inner = shape[1], cols = shape[2];
    for (const Form form : {Form::nn, Form::nt, Form::tn}) {
      for (const Write write : {Write::assign, Write::add}) {
        CAPTURE(rows);
        CAPTURE(inner);
        CAPTURE(cols);
        CAPTURE(static_cast<int>(form));
        const auto once = [&](MatMul matmul, auto&& factor) {
          return Products(form, matmul, rows, inner, cols, write, factor, factor).worst(inner);
        };
        CHECK(once(MatMul::fp32, as_is) < 4e-6);
        CHECK(once(MatMul::bf16x3, as_is) < 6e-5);
        if (cpu::has_tiles()) {
          CHECK(once(MatMul::bf16, rounded) < 4e-6);
          CHECK(once(MatMul::bf16, as_is) > 1e-4);
          CHECK(once(MatMul::bf16x3, as_is) > 1e-8);
        } else {
          CHECK(once(MatMul::bf16, as_is) < 4e-6);
        }
      }
    }
  }
}

TEST_CASE("small products and doubles are left to others, whatever a Context asks for") {
  for (const auto& shape :
       {std::array<Index, 3>{15, 64, 64}, {64, 15, 64}, {64, 64, 15}, {1, 1, 1}}) {
    const Index rows = shape[0], inner = shape[1], cols = shape[2];
    CHECK(Products(Form::nt, MatMul::bf16, rows, inner, cols, Write::assign, as_is, as_is)
              .worst(inner) < 4e-6);
  }
}

TEST_CASE("a number that is not finite stays one") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const MatMul matmul : {MatMul::bf16, MatMul::bf16x3}) {
    std::vector<float> a(32 * 32, 1.0f), y(32 * 32);
    a[5 * 32 + 3] = infinity;
    Arena arena;
    cpu::Context ctx{.arena = arena, .matmul = matmul};
    const MatrixArg<float> x{a.data(), {32, 32}};
    gemm_nt(ctx, x, x, Matrix<float>{y.data(), {32, 32}}, Write::assign);
    CHECK_FALSE(std::isfinite(y[5 * 32]));
    CHECK(y[0] == doctest::Approx(32));
  }
}
