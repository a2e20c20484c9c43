// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// What attention without biases gives a token that sees itself alone: the softmax over one is one,
/// so its value is left, and queries, keys and distances have no part in it.
///
///   y = (x V') O'
///
/// Shapes      x, y [tokens, width]
/// Parameters  value.weight [inner, width], out.weight [width, inner]
/// Cache       x and its values
/// Cost        O(tokens · width · inner)
/// Gradients   parameters accumulate, dx is assigned
struct OwnValue {
  struct Config {
    Index width = 0, inner = 0;

    Linear::Config value() const { return map(width, inner); }
    Linear::Config out() const { return map(inner, width); }

  private:
    static Linear::Config map(Index in, Index out) {
      return {in, out, false, Init::normal(1 / std::sqrt(static_cast<double>(in)))};
    }
  };
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> value, out;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> value, out;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Linear::for_each_parameter(c.value(), under("value", f), p.value...);
    Linear::for_each_parameter(c.out(), under("out", f), p.out...);
  }

  /// Takes what UnscaledAttention takes, and reads x.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              MatrixArg<T, S>, Offsets, Offsets, MatrixArg<T, S>,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> value = Linear::forward(c.value(), p.value, x, cache.value, ctx);
    return Linear::forward(c.out(), p.out, MatrixArg<T, S>(value), cache.out, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Offsets, Offsets, Matrix<T, S>, Matrix<T, S>,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dvalue = Linear::backward(c.out(), p.out, grad.out, dy, cache.out, ctx);
    return Linear::backward(c.value(), p.value, grad.value, MatrixArg<T, S>(dvalue), cache.value,
                            ctx);
  }
};

}  // namespace simgr::SIMGR_ABI
