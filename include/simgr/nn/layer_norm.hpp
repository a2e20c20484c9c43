// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/parameter.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Normalises every row to mean 0 and variance 1, then scales and shifts each column.
///
///   y = weight (x - mean) / sqrt(variance + epsilon) + bias          (biased variance)
///
/// Shapes      x, y [rows, width]
/// Parameters  weight [width], bias [width], where `affine`; otherwise they are 1 and 0
/// Cache       x, borrowed;  mean and 1 / deviation, [rows] each
/// Cost        O(rows · width)
/// Gradients   parameters accumulate, dx is assigned; weight and bias get none where `frozen`
/// Source      Ba, Kiros & Hinton 2016, section 3
struct LayerNorm {
  struct Config {
    Index width = 0;
    double epsilon = 1e-5;
    bool affine = true;
    bool frozen = false;  // weight and bias get no gradient
  };
  template <class T, class S = Host>
  struct Params {
    Vector<T, S> weight, bias;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> x;
    Vector<T, S> mean, scale;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    if (c.affine) {
      const Trained trained = c.frozen ? Trained::no : Trained::yes;
      f(Spec<1>{"weight", {c.width}, Init::ones(), Decay::no, trained}, p.weight...);
      f(Spec<1>{"bias", {c.width}, Init::zeros(), Decay::no, trained}, p.bias...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> y = ctx.template take<T>(x.rows(), c.width);
    cache = {x, ctx.template take<T>(x.rows()), ctx.template take<T>(x.rows())};
    const Params<T, S> own = c.affine ? p : constants<T, S>(c, ctx);
    layer_norm(ctx, own.weight, own.bias, static_cast<T>(c.epsilon), x, y, cache.mean, cache.scale);
    return y;
  }

  // forward: y = g n + b,  n = (x - mean) s.
  // dg += dy n;  db += dy;  dx = s (dy g - mean(dy g) - n mean(dy g n))
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dx = ctx.template take<T>(dy.rows(), c.width);
    const bool learns = c.affine && !c.frozen;
    layer_norm_backward(ctx, (c.affine ? p : constants<T, S>(c, ctx)).weight, cache.x, cache.mean,
                        cache.scale, dy, dx, learns ? grad.weight : Vector<T, S>{},
                        learns ? grad.bias : Vector<T, S>{});
    return dx;
  }

private:
  template <class T, class S, class Ctx>
  static Params<T, S> constants(const Config& c, Ctx& ctx) {
    const Params<T, S> p{ctx.template take<T>(c.width), ctx.template take<T>(c.width)};
    fill(ctx, p.weight, T(1));
    fill(ctx, p.bias, T(0));
    return p;
  }
};

}  // namespace simgr::SIMGR_ABI
