// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/op_tags.hpp>

namespace simgr::SIMGR_ABI {

/// y = f(x) as a layer without parameters.
///
/// @tparam F  an activation tag of core/op_tags.hpp
///
/// Shapes     x, y [rows, width]
/// Cache      x, borrowed
/// Cost       O(rows · width) elementary functions
/// Gradients  dx = f'(x) dy, assigned
template <class F>
struct Activation {
  struct Config {};
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> x;
  };
  template <class Walk, class... P>
  static void for_each_parameter(const Config&, Walk&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config&, const Params<T, S>&, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.x = x;
    Matrix<T, S> y = ctx.template take<T>(x.rows(), x.cols());
    activate(ctx, F{}, x, y);
    return y;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config&, const Params<T, S>&, const Params<T, S>&,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dx = ctx.template take<T>(dy.rows(), dy.cols());
    activate_backward(ctx, F{}, cache.x, dy, dx);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
