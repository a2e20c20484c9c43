// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>

#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/narrow.hpp>

namespace simgr::SIMGR_ABI {

/// A linear map with a low-rank update:
///
///   y = x W' + b + (alpha / rank) (dropout(x) A') B'
///
/// B begins at zero, so a fresh adapter changes nothing. With rank 0 there is none: the map is the
/// base, frozen or not.
///
/// @tparam Base  Linear, or Narrow<Linear>, whose weight is kept in half the memory and always frozen
///
/// Shapes      x [rows, in], y [rows, out]
/// Parameters  base.weight [out, in], base.bias [out] (where biased), a [rank, in], b [out, rank]
/// Cache       x, borrowed;  inner [rows, rank];  dropped [rows, in] where there is dropout
/// Cost        the base's, and O(rows · rank · (in + out))
/// Gradients   parameters accumulate, dx is assigned; where `frozen` the base gets none and
///             stays
/// Source      Hu et al. 2021, equation 3
template <class Base>
struct Lora {
  struct Config {
    typename Base::Config base{};
    Index rank = 8;
    double alpha = 16;
    bool frozen = true;  // the base gets no gradient
    double dropout = 0;  // of what the adapter reads

    double factor() const { return alpha / static_cast<double>(rank); }
  };
  template <class T, class S = Host>
  struct Params {
    typename Base::template Params<T, S> base;
    Matrix<T, S> a, b;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Base::template Cache<T, S> base;
    MatrixArg<T, S> read;  // x, or x after dropout
    Matrix<T, S> inner;    // [rows, rank]: (alpha / rank) read A'
    std::uint32_t stream = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    auto of_base = [&](auto spec, auto&... views) {
      spec.trained = c.frozen ? Trained::no : spec.trained;
      f(spec, views...);
    };
    Base::for_each_parameter(c.base, under("base", of_base), p.base...);
    if (c.rank > 0) {
      f(Spec<2>{"a", {c.rank, c.base.in}, Init::xavier()}, p.a...);
      f(Spec<2>{"b", {c.base.out, c.rank}, Init::zeros()}, p.b...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> y = Base::forward(c.base, p.base, x, cache.base, ctx);
    if (c.rank == 0) {
      return y;
    }
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
    gemm_nt(ctx, cache.inner, p.b, y, Write::add);
    return y;
  }

  // forward: y = base(x) + i B',  i = f D(x) A'.   dB += dy' i;  di = f dy B;  dA += di' D(x);
  // dx = base + D(di A)
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
    if (c.rank == 0) {
      return dx;
    }
    gemm_tn(ctx, dy, cache.inner, grad.b, Write::add);
    const Matrix<T, S> dinner = ctx.template take<T>(dy.rows(), c.rank);
    gemm_nn(ctx, dy, p.b, dinner, Write::assign);
    scale(ctx, dinner, static_cast<T>(c.factor()));
    gemm_tn(ctx, dinner, cache.read, grad.a, Write::add);
    if (c.dropout > 0) {
      const Matrix<T, S> dread = ctx.template take<T>(dy.rows(), c.base.in);
      gemm_nn(ctx, dinner, p.a, dread, Write::assign);
      dropout(ctx, dread, static_cast<float>(c.dropout), cache.stream);
      copy(ctx, dread, dx, Write::add);
    } else {
      gemm_nn(ctx, dinner, p.a, dx, Write::add);
    }
    return dx;
  }

  /// weight = W + (alpha / rank) B A: that of the plain layer with the same y.   weight [out, in]
  template <class T, class S, class Ctx>
  static void merge(const Config& c, const Params<T, S>& p, Matrix<T, S> weight, Ctx& ctx) {
    if (c.rank == 0) {
      return copy(ctx, p.base.weight, weight, Write::assign);
    }
    const Matrix<T, S> scaled = ctx.template take<T>(c.base.out, c.rank);
    copy(ctx, p.b, scaled, Write::assign);
    scale(ctx, scaled, static_cast<T>(c.factor()));
    copy(ctx, p.base.weight, weight, Write::assign);
    gemm_nn(ctx, scaled, p.a, weight, Write::add);
  }
};

/// The adapters of a block: how large, and which of its maps have one.
struct Adapters {
  Index rank = 8;
  double alpha = 16, dropout = 0;
  bool frozen = true;  // what has none, or is under one, gets no gradient
  bool query = true, key = true, value = true, out = true, gate = true, up = true, down = true;
};

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
