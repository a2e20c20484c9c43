// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/encoder/item_embedding.hpp>
#include <simgr/nn/digit_pooler.hpp>

namespace simgr::SIMGR_ABI {

/// An item is the pooled rows of its digits. The whole catalogue is pooled once a step; histories
/// gather from it, and `PooledDigits` of the same pooler ranks against it.
///
/// @tparam P   a digit pooler: Mean, Sum, MeanPlusMlp, DigitAttention, DigitGate, or your own
///
/// Parameters  digits [Σ codes, width] and the pooler's
template <class P>
struct PooledDigitEmbedding {
  struct Config {
    double deviation = 0.02;  // of the first values of the digit table
    typename P::Config pooler{};

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"deviation", 0, 10, "standard deviation of the first values"}, c.deviation);
      fields_of("pooler", c.pooler, f);
    }
  };
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = P;
  static constexpr bool row_per_item = true, needs_ids = true;
  static Index tokens_per_item(const Shape&) noexcept { return 1; }
  static DigitShape<typename P::Config> pooler(const Shape& shape) {
    return {shape.width, shape.catalogue.digits, shape.own.pooler};
  }

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
    typename P::template Params<T, S> pooler;
  };
  template <class T, class S = Host>
  struct Cache {
    typename P::template Cache<T, S> pooler;
  };

  template <class F, class... Q>
  static void for_each_parameter(const Shape& shape, F&& f, Q&... p) {
    f(Spec<2>{"digits",
              {shape.catalogue.table_rows, shape.width},
              Init::normal(shape.own.deviation)},
      p.table...);
    P::for_each_parameter(pooler(shape), under("pooler", f), p.pooler...);
  }
  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape& shape, const Params<T, S>& p,
                                 const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
    return P::forward(pooler(shape), p.pooler, MatrixArg<T, S>(p.table), items.digit_rows,
                      cache.pooler, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape& shape, const Params<T, S>&, Ctx& ctx) {
    Matrix<T, S> drows = ctx.template take<T>(shape.catalogue.items, shape.width);
    fill(ctx, drows, T(0));
    return drows;
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                            const ItemsView<S>& items, MatrixArg<T, S> drows,
                            const Cache<T, S>& cache, Ctx& ctx) {
    P::backward(pooler(shape), p.pooler, grad.pooler, MatrixArg<T, S>(p.table), items.digit_rows,
                drows, grad.table, cache.pooler, ctx);
  }
};

/// The plain mean: RPG's items, and the paper's.
using MeanOfDigits = PooledDigitEmbedding<Mean>;

}  // namespace simgr::SIMGR_ABI
