// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/float_formats.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// A frozen layer whose matrix is kept as BFloat16, in half the memory of a float; specialised for
/// every base that has one.
template <class Base>
struct Narrow;

/// An affine map of rows whose weight stays as it was published.
///
///   y = x W' + b
///
/// W is widened where products copy it into the cache, never as a whole: the numbers are those of
/// Linear over the widened weight. Under an adapter, Lora<Narrow<Linear>>, it is the base that is
/// fine-tuned; alone it serves.
///
/// Shapes      x [rows, in], y [rows, out]
/// Parameters  weight [out, in], BFloat16;  bias [out] where `biased`;  both frozen
/// Cache       none
/// Cost        O(rows · in · out)
/// Gradients   of parameters there is none;  dx is assigned
template <>
struct Narrow<Linear> {
  using Config = Linear::Config;
  template <class T, class S = Host>
  struct Params {
    Matrix<BFloat16, S> weight;
    Vector<T, S> bias;
  };
  template <class T, class S = Host>
  struct Cache {};

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"weight", {c.out, c.in}, c.init, Decay::yes, Trained::no, Storage::bf16},
      p.weight...);
    if (c.biased) {
      f(Spec<1>{"bias", {c.out}, Init::zeros(), Decay::no, Trained::no}, p.bias...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>&, Ctx& ctx) {
    const Matrix<T, S> y = ctx.template take<T>(x.rows(), c.out);
    if (c.biased) {
      affine_rows(ctx, x, p.weight, p.bias, y);
    } else {
      gemm_nt(ctx, x, p.weight, y, Write::assign);
    }
    return y;
  }

  // forward: y = x W' + b.   dx = dy W
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>&,
                               MatrixArg<T, S> dy, const Cache<T, S>&, Ctx& ctx) {
    const Matrix<T, S> dx = ctx.template take<T>(dy.rows(), c.in);
    gemm_nn(ctx, dy, p.weight, dx, Write::assign);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
