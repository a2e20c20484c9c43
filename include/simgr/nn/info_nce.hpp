// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>
#include <span>

#include <simgr/core/fields.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Two views of the same things, row by row: each row of `a` must find its own row of `b` among all.
///
///   Σ_r −log softmax_c(cos(a_r, b_c) / temperature)[r]
///
/// or, where `symmetric`, half of this and half of the same from b to a. Where rows have names, those of
/// one name are not told apart: all but r itself are left out of row r's softmax.
///
/// A term beside a model's loss (contrastive pre-training, aligning text and behaviour), not a loss
/// of ItemScores.
///
/// Shapes     a, b [rows, width]
/// Cost       O(rows² · width), [rows, rows] exists
/// Gradients  da, db accumulate
/// Source     van den Oord et al. 2018, equation 4; symmetric: Radford et al. 2021
struct InfoNce {
  struct Config {
    double temperature = 0.1;
    bool symmetric = false;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"temperature", 1e-3, 100, "divides the cosine"}, c.temperature);
      f(Field{"symmetric", 0, 1, "from both views to the other"}, c.symmetric);
    }
  };

  /// Adds the gradients of weight · Σ_r loss(r), and returns that sum.
  /// @param names  [rows], or none
  template <class T, class S, class Ctx>
  static double value_and_gradient(const Config& c, MatrixArg<T, S> a, MatrixArg<T, S> b, T weight,
                                   Matrix<T, S> da, Matrix<T, S> db, Ctx& ctx,
                                   std::span<const ItemId> names = {}) {
    const Index rows = a.rows(), width = a.cols();
    const T inverse = static_cast<T>(1 / c.temperature);
    const Matrix<T, S> from = ctx.template take<T>(rows, width),
                       to = ctx.template take<T>(rows, width);
    const Vector<T, S> from_scale = ctx.template take<T>(rows),
                       to_scale = ctx.template take<T>(rows);
    normalise_rows(ctx, a, inverse, from, from_scale);
    normalise_rows(ctx, b, T(1), to, to_scale);
    const Matrix<T, S> dfrom = ctx.template take<T>(rows, width),
                       dto = ctx.template take<T>(rows, width);
    const Matrix<T, S> scores = ctx.template take<T>(rows, rows);
    const T share = c.symmetric ? weight / 2 : weight;
    double sum = direction(from, to, share, scores, dfrom, dto, Write::assign, names, ctx);
    if (c.symmetric) {
      sum += direction(to, from, share, scores, dto, dfrom, Write::add, names, ctx);
    }
    normalise_rows_backward(ctx, a, inverse, from_scale, dfrom, da, Write::add);
    normalise_rows_backward(ctx, b, T(1), to_scale, dto, db, Write::add);
    return sum * static_cast<double>(share);
  }

private:
  // s = x y';  dx = ds y;  dy = ds' x
  template <class T, class S, class Ctx>
  static double direction(Matrix<T, S> x, Matrix<T, S> y, T weight, Matrix<T, S> scores,
                          Matrix<T, S> dx, Matrix<T, S> dy, Write write,
                          std::span<const ItemId> names, Ctx& ctx) {
    gemm_nt(ctx, x, y, scores, Write::assign);
    double sum = 0;
    for (Index r = 0; r < scores.rows(); ++r) {
      for (Index c = 0; c < std::ssize(names); ++c) {
        if (c != r && names[static_cast<std::size_t>(c)] == names[static_cast<std::size_t>(r)]) {
          scores(r, c) = -std::numeric_limits<T>::infinity();
        }
      }
      sum += cross_entropy_row(ctx, scores.row(r), r, weight);
    }
    gemm_nn(ctx, scores, y, dx, write);
    gemm_tn(ctx, scores, x, dy, write);
    return sum;
  }
};

}  // namespace simgr::SIMGR_ABI
