// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// The gated feed-forward net of Llama and Qwen.
///
///   y = (silu(x G') * (x U')) D'
///
/// Shapes      x, y [rows, width]
/// Parameters  gate.weight, up.weight [inner, width], down.weight [width, inner]; no biases
/// Cache       x and the product, borrowed;  x G', silu of it, x U' [rows, inner]
/// Cost        O(3 · rows · width · inner)
/// Gradients   parameters accumulate, dx is assigned
/// Source      Shazeer 2020, equation 6
struct SwiGlu {
  struct Config {
    Index width = 0, inner = 0;
    Init init = Init::xavier();

    Linear::Config up() const { return {width, inner, false, init}; }
    Linear::Config down() const { return {inner, width, false, init}; }
  };
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> gate, up, down;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> gate, up, down;
    Matrix<T, S> before, open, lifted;  // [rows, inner]: x G', silu of it, x U'
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Linear::for_each_parameter(c.up(), under("gate", f), p.gate...);
    Linear::for_each_parameter(c.up(), under("up", f), p.up...);
    Linear::for_each_parameter(c.down(), under("down", f), p.down...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.before = Linear::forward(c.up(), p.gate, x, cache.gate, ctx);
    cache.lifted = Linear::forward(c.up(), p.up, x, cache.up, ctx);
    cache.open = ctx.template take<T>(x.rows(), c.inner);
    activate(ctx, Silu{}, cache.before, cache.open);
    const Matrix<T, S> product = ctx.template take<T>(x.rows(), c.inner);
    multiply(ctx, cache.open, cache.lifted, product);
    return Linear::forward(c.down(), p.down, product, cache.down, ctx);
  }

  // forward: y = (o * l) D',  o = silu(b), b = x G', l = x U'.
  // dl = o * d;  db = silu'(b) * (l * d),  d = dy D;  dx = db G + dl U
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dproduct =
        Linear::backward(c.down(), p.down, grad.down, dy, cache.down, ctx);
    const Matrix<T, S> dlifted = ctx.template take<T>(dy.rows(), c.inner);
    multiply(ctx, cache.open, dproduct, dlifted);
    multiply(ctx, cache.lifted, dproduct, dproduct);
    activate_backward(ctx, Silu{}, cache.before, dproduct, dproduct);
    const Matrix<T, S> dx = Linear::backward(c.up(), p.gate, grad.gate, dproduct, cache.gate, ctx);
    copy(ctx, Linear::backward(c.up(), p.up, grad.up, dlifted, cache.up, ctx), dx, Write::add);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
