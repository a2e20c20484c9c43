// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/lora.hpp>

namespace simgr::SIMGR_ABI {

/// What stands between the two maps of a feed-forward net without biases.
struct Plain {};  // f(x U')
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
/// Cache       x and the product, borrowed;  what f reads, f of it, and x U' where Gated
///             [rows, inner]
/// Cost        O(rows · width · inner), two products or three
/// Gradients   parameters accumulate, dx is assigned
/// Source      Raffel et al. 2020, section 2.1; Shazeer 2020, equations 5 and 6
template <class F, class Gate = Plain, class Projection = Linear>
struct FeedForward {
  static constexpr bool gated = std::is_same_v<Gate, Gated>;

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
    Matrix<T, S> product = cache.open;
    if constexpr (gated) {
      cache.before = Projection::forward(c.gate(), p.gate, x, cache.gate, ctx);
      cache.lifted = Projection::forward(c.up(), p.up, x, cache.up, ctx);
      activate(ctx, F{}, cache.before, cache.open);
      product = ctx.template take<T>(x.rows(), c.inner);
      multiply(ctx, cache.open, cache.lifted, product);
    } else {
      cache.before = Projection::forward(c.up(), p.up, x, cache.up, ctx);
      activate(ctx, F{}, cache.before, product);
    }
    cache.stream = ctx.next_stream();
    dropout(ctx, product, static_cast<float>(c.dropout), cache.stream);
    return Projection::forward(c.down(), p.down, product, cache.down, ctx);
  }

  // forward: y = D(o * l) W',  o = f(b), b = x G', l = x U'.
  // dl = o * d;  db = f'(b) * (l * d),  d = D(dy W);  dx = db G + dl U
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dproduct =
        Projection::backward(c.down(), p.down, grad.down, dy, cache.down, ctx);
    dropout(ctx, dproduct, static_cast<float>(c.dropout), cache.stream);
    if constexpr (gated) {
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
      activate_backward(ctx, F{}, cache.before, dproduct, dproduct);
      return Projection::backward(c.up(), p.up, grad.up, dproduct, cache.up, ctx);
    }
  }
};

/// The gated feed-forward net of Llama and Qwen.
template <class Projection = Linear>
using SwiGlu = FeedForward<Silu, Gated, Projection>;

}  // namespace simgr::SIMGR_ABI
