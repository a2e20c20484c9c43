// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <type_traits>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/lora.hpp>

namespace simgr::SIMGR_ABI {

/// What stands between the two maps of a feed-forward net without biases.
struct Plain {};  // f(x U'), for rectified linear units
struct Gated {};  // f(x G') * (x U')

/// A feed-forward net without biases.
///
///   y = dropout(f(x U')) D',   or   y = dropout(f(x G') * (x U')) D'
///
/// @tparam F     activation tag f: Relu, GeluTanh, Silu …
/// @tparam Gate  Plain (T5), or Gated (T5 1.1, Llama, Qwen)
/// @tparam Projection  Linear, or Lora<Linear> to train adapters on a frozen base
///
/// Shapes      x, y [rows, width]
/// Parameters  gate.weight where Gated, up.weight [inner, width], down.weight [width, inner]
/// Cache       x and the product, borrowed;  where Gated what f reads, f of it, and x U' [rows, inner]
/// Cost        O(rows · width · inner), two products or three. Plain nets go through as many rows at a
///             time as the second cache holds: 1.4 times as fast for 7,000 rows of width 128 inside 1,024
/// Gradients   parameters accumulate, dx is assigned
/// Source      Raffel et al. 2020, section 2.1; Shazeer 2020, equations 5 and 6
template <class F, class Gate = Plain, class Projection = Linear>
struct FeedForward {
  static constexpr bool gated = std::is_same_v<Gate, Gated>;
  static_assert(gated || (std::is_same_v<F, Relu> && std::is_same_v<Projection, Linear>),
                "simgr: FeedForward without a gate is T5's: FeedForward<Relu>");

  struct Config {
    Index width = 0, inner = 0;
    double dropout = 0;
    Init up_init = Init::xavier(), down_init = Init::xavier();

    Adapters adapters{};

    typename Projection::Config gate() const {
      return projection<Projection>({width, inner, false, up_init}, adapters, &Adapters::gate);
    }
    typename Projection::Config up() const {
      return projection<Projection>({width, inner, false, up_init}, adapters, &Adapters::up);
    }
    typename Projection::Config down() const {
      return projection<Projection>({inner, width, false, down_init}, adapters, &Adapters::down);
    }
  };
  template <class T, class S = Host>
  struct Params {
    typename Projection::template Params<T, S> gate, up, down;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Projection::template Cache<T, S> gate, up, down;
    Matrix<T, S> before, open, lifted;  // [rows, inner]
    std::uint32_t stream = 0;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    if constexpr (gated) {
      Projection::for_each_parameter(c.gate(), under("gate", f), p.gate...);
    }
    Projection::for_each_parameter(c.up(), under("up", f), p.up...);
    Projection::for_each_parameter(c.down(), under("down", f), p.down...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.open = ctx.template take<T>(x.rows(), c.inner);
    cache.stream = ctx.next_stream();
    const auto rate = static_cast<float>(c.dropout);
    if constexpr (gated) {
      cache.before = Projection::forward(c.gate(), p.gate, x, cache.gate, ctx);
      cache.lifted = Projection::forward(c.up(), p.up, x, cache.up, ctx);
      activate(ctx, F{}, cache.before, cache.open);
      const Matrix<T, S> product = ctx.template take<T>(x.rows(), c.inner);
      multiply(ctx, cache.open, cache.lifted, product);
      dropout(ctx, product, rate, cache.stream);
      return Projection::forward(c.down(), p.down, product, cache.down, ctx);
    } else {
      cache.up.x = x;
      const Matrix<T, S> y = ctx.template take<T>(x.rows(), c.width);
      some_at_a_time<T>(x.rows(), c.inner, [&](Index first, Index count) {
        const Matrix<T, S> open = cache.open.slice(first, count);
        gemm_nt(ctx, x.slice(first, count), p.up.weight, open, Write::assign);
        relu_dropout(ctx, open, rate, cache.stream, first * c.inner);
        gemm_nt(ctx, open, p.down.weight, y.slice(first, count), Write::assign);
      });
      return y;
    }
  }

  // forward: y = D(o * l) W',  o = f(b), b = x G', l = x U'.
  // dl = o * d;  db = f'(b) * (l * d),  d = D(dy W);  dx = db G + dl U
  // Plain: y = o W', o = D(f(x U')).   db = f'(b) * D(dy W), both seen from o;  dx = db U
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    const auto rate = static_cast<float>(c.dropout);
    if constexpr (gated) {
      const Matrix<T, S> dproduct =
          Projection::backward(c.down(), p.down, grad.down, dy, cache.down, ctx);
      dropout(ctx, dproduct, rate, cache.stream);
      const Matrix<T, S> dlifted = ctx.template take<T>(dy.rows(), c.inner);
      multiply(ctx, cache.open, dproduct, dlifted);
      multiply(ctx, cache.lifted, dproduct, dproduct);
      activate_backward(ctx, F{}, cache.before, dproduct, dproduct);
      const Matrix<T, S> dx =
          Projection::backward(c.gate(), p.gate, grad.gate, dproduct, cache.gate, ctx);
      copy(ctx, Projection::backward(c.up(), p.up, grad.up, dlifted, cache.up, ctx), dx,
           Write::add);
      return dx;
    } else {
      const Matrix<T, S> dx = ctx.template take<T>(dy.rows(), c.width);
      Arena::Scope scope(ctx.arena);
      const Matrix<T, S> space =
          ctx.template take<T>(std::min(dy.rows(), rows_at_a_time<T>(c.inner)), c.inner);
      some_at_a_time<T>(dy.rows(), c.inner, [&](Index first, Index count) {
        const MatrixArg<T, S> x = cache.up.x.slice(first, count), d = dy.slice(first, count),
                              open = cache.open.slice(first, count);
        const Matrix<T, S> dopen = space.slice(0, count);
        gemm_nn(ctx, d, p.down.weight, dopen, Write::assign);
        gemm_tn(ctx, d, open, grad.down.weight, Write::add);
        relu_dropout_backward(ctx, open, rate, dopen);
        gemm_tn(ctx, dopen, x, grad.up.weight, Write::add);
        gemm_nn(ctx, dopen, p.up.weight, dx.slice(first, count), Write::assign);
      });
      return dx;
    }
  }

private:
  /// Rows of which what stands between the maps takes two megabytes.
  template <class T>
  static constexpr Index rows_at_a_time(Index inner) {
    constexpr Index bytes = 1 << 21, least = 32;
    return std::max(least, bytes / (inner * static_cast<Index>(sizeof(T))) / least * least);
  }
  /// f(first, count) for parts of `rows`, in their order.
  template <class T, class Part>
  static void some_at_a_time(Index rows, Index inner, Part&& f) {
    const Index most = rows_at_a_time<T>(inner);
    for (Index first = 0; first < rows; first += most) { f(first, std::min(most, rows - first)); }
  }
};

/// The gated feed-forward net of Llama and Qwen.
template <class Projection = Linear>
using SwiGlu = FeedForward<Silu, Gated, Projection>;

}  // namespace simgr::SIMGR_ABI
