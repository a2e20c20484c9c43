// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/parameter.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// An affine map of rows.
///
///   y = x W' + b
///
/// Shapes      x [rows, in], y [rows, out]
/// Parameters  weight [out, in];  bias [out] where `biased`
/// Cache       x, borrowed
/// Cost        O(rows · in · out)
/// Gradients   parameters accumulate, dx is assigned
struct Linear {
  struct Config {
    Index in = 0, out = 0;
    bool biased = true;
    Init init = Init::xavier();
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> weight;
    Vector<T, S> bias;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> x;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"weight", {c.out, c.in}, c.init}, p.weight...);
    if (c.biased) {
      f(Spec<1>{"bias", {c.out}, Init::zeros(), Decay::no}, p.bias...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.x = x;
    Matrix<T, S> y = ctx.template take<T>(x.rows(), c.out);
    if (c.biased) {
      affine_rows(ctx, x, p.weight, p.bias, y);
    } else {
      gemm_nt(ctx, x, p.weight, y, Write::assign);
    }
    return y;
  }

  // forward: y = x W' + b.   dW += dy' x;  db += column sums of dy;  dx = dy W
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    gemm_tn(ctx, dy, cache.x, grad.weight, Write::add);
    if (c.biased) {
      add_column_sums(ctx, dy, grad.bias);
    }
    Matrix<T, S> dx = ctx.template take<T>(dy.rows(), c.in);
    gemm_nn(ctx, dy, p.weight, dx, Write::assign);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
