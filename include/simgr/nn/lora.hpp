// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>

#include <simgr/core/fields.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/narrow.hpp>

namespace simgr::SIMGR_ABI {

/// An update of low rank beside a linear map:
///
///   y += (alpha / rank) (dropout(x) A') B'
///
/// B begins at zero, so a fresh one changes nothing. With rank 0 there is none.
///
/// Shapes      x [rows, in], y [rows, out]
/// Parameters  a [rank, in], b [out, rank]
/// Cache       x, borrowed, or x after dropout [rows, in];  inner [rows, rank]
/// Cost        O(rows · rank · (in + out))
/// Gradients   parameters accumulate, and so does dx: it is one of two ways
/// Source      Hu et al. 2021, equation 3
struct LowRank {
  struct Config {
    Index in = 0, out = 0, rank = 8;
    double alpha = 16;
    double dropout = 0;  // of what it reads

    double factor() const { return alpha / static_cast<double>(rank); }
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> a, b;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> read;  // x, or x after dropout
    Matrix<T, S> inner;    // [rows, rank]: (alpha / rank) read A'
    std::uint32_t stream = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    if (c.rank > 0) {
      f(Spec<2>{"a", {c.rank, c.in}, Init::xavier()}, p.a...);
      f(Spec<2>{"b", {c.out, c.rank}, Init::zeros()}, p.b...);
    }
  }

  /// y += …, or y = … as `write` says; the rank is not 0.
  template <class T, class S, class Ctx>
  static void forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x, Matrix<T, S> y,
                      Write write, Cache<T, S>& cache, Ctx& ctx) {
    cache.read = x;
    cache.stream = ctx.next_stream();
    if (c.dropout > 0) {
      const Matrix<T, S> dropped = ctx.template take<T>(x.rows(), x.cols());
      copy(ctx, x, dropped, Write::assign);
      dropout(ctx, dropped, static_cast<float>(c.dropout), cache.stream);
      cache.read = dropped;
    }
    cache.inner = ctx.template take<T>(x.rows(), c.rank);
    gemm_nt(ctx, cache.read, p.a, cache.inner, Write::assign);
    scale(ctx, cache.inner, static_cast<T>(c.factor()));
    gemm_nt(ctx, cache.inner, p.b, y, write);
  }

  // forward: y += i B',  i = f D(x) A'.   dB += dy' i;  di = f dy B;  dA += di' D(x);  dx += D(di A)
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dy, Matrix<T, S> dx, const Cache<T, S>& cache, Ctx& ctx) {
    gemm_tn(ctx, dy, cache.inner, grad.b, Write::add);
    const Matrix<T, S> dinner = ctx.template take<T>(dy.rows(), c.rank);
    gemm_nn(ctx, dy, p.b, dinner, Write::assign);
    scale(ctx, dinner, static_cast<T>(c.factor()));
    gemm_tn(ctx, dinner, cache.read, grad.a, Write::add);
    if (c.dropout > 0) {
      const Matrix<T, S> dread = ctx.template take<T>(dy.rows(), c.in);
      gemm_nn(ctx, dinner, p.a, dread, Write::assign);
      dropout(ctx, dread, static_cast<float>(c.dropout), cache.stream);
      copy(ctx, dread, dx, Write::add);
    } else {
      gemm_nn(ctx, dinner, p.a, dx, Write::add);
    }
  }

  /// weight += (alpha / rank) B A.   weight [out, in]
  template <class T, class S, class Ctx>
  static void merge(const Config& c, const Params<T, S>& p, Matrix<T, S> weight, Ctx& ctx) {
    const Matrix<T, S> scaled = ctx.template take<T>(c.out, c.rank);
    copy(ctx, p.b, scaled, Write::assign);
    scale(ctx, scaled, static_cast<T>(c.factor()));
    gemm_nn(ctx, scaled, p.a, weight, Write::add);
  }
};

/// A linear map with an update of low rank, LowRank:
///
///   y = x W' + b + (alpha / rank) (dropout(x) A') B'
///
/// With rank 0 there is none: the map is the base, frozen or not.
///
/// @tparam Base  Linear, or Narrow<Linear>, whose weight is kept in half the memory and always frozen
///
/// Shapes      x [rows, in], y [rows, out]
/// Parameters  base.weight [out, in], base.bias [out] (where biased), a [rank, in], b [out, rank]
/// Cache       those of both
/// Cost        the base's, and the update's
/// Gradients   parameters accumulate, dx is assigned; where `frozen` the base gets none and
///             stays
template <class Base>
struct Lora {
  struct Config {
    typename Base::Config base{};
    Index rank = 8;
    double alpha = 16;
    bool frozen = true;  // the base gets no gradient
    double dropout = 0;  // of what the adapter reads

    LowRank::Config update() const { return {base.in, base.out, rank, alpha, dropout}; }
  };
  template <class T, class S = Host>
  struct Params : LowRank::Params<T, S> {
    typename Base::template Params<T, S> base;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Base::template Cache<T, S> base;
    LowRank::Cache<T, S> update;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    auto of_base = [&](auto spec, auto&... views) {
      spec.trained = c.frozen ? Trained::no : spec.trained;
      f(spec, views...);
    };
    Base::for_each_parameter(c.base, under("base", of_base), p.base...);
    LowRank::for_each_parameter(c.update(), f, p...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> y = Base::forward(c.base, p.base, x, cache.base, ctx);
    if (c.rank > 0) {
      LowRank::forward<T, S>(c.update(), p, x, y, Write::add, cache.update, ctx);
    }
    return y;
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dx;
    if (c.frozen) {
      dx = ctx.template take<T>(dy.rows(), c.base.in);
      gemm_nn(ctx, dy, p.base.weight, dx, Write::assign);
    } else {
      dx = Base::backward(c.base, p.base, grad.base, dy, cache.base, ctx);
    }
    if (c.rank > 0) {
      LowRank::backward<T, S>(c.update(), p, grad, dy, dx, cache.update, ctx);
    }
    return dx;
  }

  /// weight = W + (alpha / rank) B A: that of the plain layer with the same y.   weight [out, in]
  template <class T, class S, class Ctx>
  static void merge(const Config& c, const Params<T, S>& p, Matrix<T, S> weight, Ctx& ctx) {
    copy(ctx, p.base.weight, weight, Write::assign);
    if (c.rank > 0) {
      LowRank::merge<T, S>(c.update(), p, weight, ctx);
    }
  }
};

/// The adapters of a block: how large, and which of its maps have one. Where queries, keys and values
/// are one stacked map, each may have its own, or all three one together.
struct Adapters {
  Index rank = 8;
  double alpha = 16, dropout = 0;
  bool frozen = true;  // what has none, or is under one, gets no gradient
  bool query = true, key = true, value = true, out = true, gate = true, up = true, down = true;
  bool joint = false;  // one of queries, keys and values together
};

/// Walks what a Config says of its adapters, apart from `gate` and `joint`, which not every block has.
template <class A, class F>
void fields_of_adapters(A& adapters, F& f) {
  f(Field{"lora_rank", 0, 65536, "rank of the adapters"}, adapters.rank);
  f(Field{"lora_alpha", 0, 1e6, "what adapters are scaled by, times 1 / rank"}, adapters.alpha);
  f(Field{"lora_dropout", 0, 0.99, "of what adapters read"}, adapters.dropout);
  f(Field{"lora_query", 0, 1, "an adapter of the queries"}, adapters.query);
  f(Field{"lora_key", 0, 1, "of the keys"}, adapters.key);
  f(Field{"lora_value", 0, 1, "of the values"}, adapters.value);
  f(Field{"lora_out", 0, 1, "of the map behind attention"}, adapters.out);
  f(Field{"lora_up", 0, 1, "of the maps into the nets"}, adapters.up);
  f(Field{"lora_down", 0, 1, "of the maps out of the nets"}, adapters.down);
  f(Field{"frozen", 0, 1, "all but adapters, and what stands outside the blocks, stays"},
    adapters.frozen);
}

/// Whether maps of this type have adapters.
template <class Projection>
constexpr bool has_adapters = false;
template <class Base>
constexpr bool has_adapters<Lora<Base>> = true;

/// Whether what such a block has beside its maps stays as it is.
template <class Projection>
constexpr bool frozen_beside(const Adapters& adapters) noexcept {
  return !std::is_same_v<Projection, Linear> && adapters.frozen;
}

/// The configuration of a map of a block whose maps are of type Projection: Linear or Narrow<Linear>,
/// or an adapter over one of them.
template <class Projection>
typename Projection::Config projection(const Linear::Config& base, const Adapters& adapters,
                                       bool Adapters::*wanted) {
  if constexpr (!has_adapters<Projection>) {
    return base;
  } else {
    return {base, adapters.*wanted ? adapters.rank : 0, adapters.alpha, adapters.frozen,
            adapters.dropout};
  }
}

}  // namespace simgr::SIMGR_ABI
