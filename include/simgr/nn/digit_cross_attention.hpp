// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string_view>

#include <simgr/nn/digit_pooler.hpp>

namespace simgr::SIMGR_ABI {

/// The user asks an item's digits, so an item's vector depends on the user:
///
///   a_bil = softmax_l(Q h_b · K x_il / sqrt(width)),   e_bi = Σ_l a_bil V x_il
///
/// with x_il = table[rows(i, l)], one head and no biases. What depends on the digit table alone is
/// computed once a step, for each of its rows and not for each item: the keys brought to the user's
/// side, Q' K x / sqrt(width), and the values V x. forward() returns these two, one after the
/// other; the similarity combines them for each pair of user and item from the Gram matrix of the
/// item's values.
///
/// Shapes      vectors [2 table rows, width];  grams [items, digits²]
/// Parameters  query.weight, key.weight, value.weight [width, width]
/// Cost        O(table rows · width² + items · digits² · width) a step;  O(digits²) for each pair
/// Source      the plain form of cross-attention pooling; the paper names it as future work and
///             gives no formula
struct CrossAttention {
  using Config = NoFields;
  static constexpr std::string_view name = "cross-attention";
  /// Vectors for each row of the digit table, not for each item: only a similarity that knows this
  /// pooler can read them.
  static constexpr Index vectors_per_table_row = 2;

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> query, key, value;
  };
  template <class T, class S = Host>
  struct Cache {
    Matrix<T, S> keys;   // [table rows, width]: K x / sqrt(width)
    Matrix<T, S> grams;  // [items, digits²]
  };

  template <class F, class... P>
  static void for_each_parameter(const DigitShape<Config>& shape, F&& f, P&... p) {
    f(Spec<2>{"query.weight", {shape.width, shape.width}, Init::xavier()}, p.query...);
    f(Spec<2>{"key.weight", {shape.width, shape.width}, Init::xavier()}, p.key...);
    f(Spec<2>{"value.weight", {shape.width, shape.width}, Init::xavier()}, p.value...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const DigitShape<Config>& shape, const Params<T, S>& p,
                              MatrixArg<T, S> table, Matrix<const std::int32_t, S> rows,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Index count = table.rows();
    cache = {ctx.template take<T>(count, shape.width),
             ctx.template take<T>(rows.rows(), shape.digits * shape.digits)};
    gemm_nt(ctx, table, p.key, cache.keys, Write::assign);
    scale(ctx, cache.keys, T(1) / std::sqrt(static_cast<T>(shape.width)));
    Matrix<T, S> vectors = ctx.template take<T>(2 * count, shape.width);
    gemm_nn(ctx, cache.keys, p.query, vectors.slice(0, count), Write::assign);
    gemm_nt(ctx, table, p.value, vectors.slice(count, count), Write::assign);
    digit_grams(ctx, vectors.slice(count, count), rows, cache.grams);
    return vectors;
  }

  // forward: k = x K' / r;  m = k Q;  v = x V'.
  // dQ += k' dm;  dk = dm Q' / r;  dK += dk' x;  dV += dv' x;  dx += dk K + dv V
  template <class T, class S, class Ctx>
  static void backward(const DigitShape<Config>& shape, const Params<T, S>& p,
                       const Params<T, S>& grad, MatrixArg<T, S> table,
                       Matrix<const std::int32_t, S>, MatrixArg<T, S> dvectors, Matrix<T, S> dtable,
                       const Cache<T, S>& cache, Ctx& ctx) {
    const Index count = table.rows();
    const MatrixArg<T, S> dmoved = dvectors.slice(0, count), dvalues = dvectors.slice(count, count);
    gemm_tn(ctx, cache.keys, dmoved, grad.query, Write::add);
    const Matrix<T, S> dkeys = ctx.template take<T>(count, shape.width);
    gemm_nt(ctx, dmoved, p.query, dkeys, Write::assign);
    scale(ctx, dkeys, T(1) / std::sqrt(static_cast<T>(shape.width)));
    gemm_tn(ctx, dkeys, table, grad.key, Write::add);
    gemm_nn(ctx, dkeys, p.key, dtable, Write::add);
    gemm_tn(ctx, dvalues, table, grad.value, Write::add);
    gemm_nn(ctx, dvalues, p.value, dtable, Write::add);
  }
};

}  // namespace simgr::SIMGR_ABI
