// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/parameter.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Scales every row to root mean square 1, then each column by a weight.
///
///   y = weight x / sqrt(mean(x²) + epsilon)
///
/// Shapes      x, y [rows, width]
/// Parameters  weight [width]
/// Cache       x, borrowed;  1 / root, [rows]
/// Cost        O(rows · width)
/// Gradients   parameters accumulate, dx is assigned; the weight gets none where `frozen`
/// Source      Zhang & Sennrich 2019, equation 4
struct RmsNorm {
  struct Config {
    Index width = 0;
    double epsilon = 1e-6;
    bool frozen = false;  // the weight gets no gradient
  };
  template <class T, class S = Host>
  struct Params {
    Vector<T, S> weight;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> x;
    Vector<T, S> scale;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<1>{"weight", {c.width}, Init::ones(), Decay::no, c.frozen ? Trained::no : Trained::yes},
      p.weight...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> y = ctx.template take<T>(x.rows(), c.width);
    cache = {x, ctx.template take<T>(x.rows())};
    rms_norm(ctx, p.weight, static_cast<T>(c.epsilon), x, y, cache.scale);
    return y;
  }

  // forward: y = g n,  n = x s.   dg += dy n;  dx = s (dy g - n mean(dy g n))
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dx = ctx.template take<T>(dy.rows(), c.width);
    rms_norm_backward(ctx, p.weight, cache.x, cache.scale, dy, dx,
                      c.frozen ? Vector<T, S>{} : grad.weight);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
