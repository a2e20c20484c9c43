// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <iterator>  // std::ssize
#include <string>
#include <vector>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// Affine maps with rectified linear units between them, and none after the last.
///
///   y = L_k(relu(… relu(L_1(x))))
///
/// Shapes      x [rows, widths.front()], y [rows, widths.back()]
/// Parameters  i.weight, i.bias: those of the maps; weights begin with Xavier's normal
/// Cache       x and what each map but the last gives, after its unit
/// Cost        that of the maps
/// Gradients   parameters accumulate, dx is assigned
struct ReluLayers {
  struct Config {
    std::vector<Index> widths;  // at least two: one map

    Index layers() const noexcept { return std::ssize(widths) - 1; }
    /// A decoder for this encoder.
    Config mirrored() const { return {{widths.rbegin(), widths.rend()}}; }
    Linear::Config layer(Index i) const {
      const Index in = widths[static_cast<std::size_t>(i)],
                  out = widths[static_cast<std::size_t>(i) + 1];
      return {in, out, true, Init::normal(std::sqrt(2.0 / static_cast<double>(in + out)))};
    }
  };
  template <class T, class S = Host>
  struct Params {
    std::vector<Linear::Params<T, S>> layers;
  };
  template <class T, class S = Host>
  struct Cache {
    std::vector<Linear::Cache<T, S>> layers;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    resize_blocks(c.layers(), p.layers...);
    for (Index i = 0; i < c.layers(); ++i) {
      Linear::for_each_parameter(c.layer(i), under(std::to_string(i), f),
                                 p.layers[static_cast<std::size_t>(i)]...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.layers.resize(p.layers.size());
    for (std::size_t i = 0;; ++i) {
      const Matrix<T, S> y =
          Linear::forward(c.layer(static_cast<Index>(i)), p.layers[i], x, cache.layers[i], ctx);
      if (i + 1 == p.layers.size()) {
        return y;
      }
      activate(ctx, Relu{}, MatrixArg<T, S>(y), y);
      x = y;
    }
  }

  // forward: x_i+1 = relu(L_i(x_i)).  relu' is 1 where x_i+1 > 0, so what went into it is not kept.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    for (std::size_t i = p.layers.size() - 1;; --i) {
      const Matrix<T, S> dx = Linear::backward(c.layer(static_cast<Index>(i)), p.layers[i],
                                               grad.layers[i], dy, cache.layers[i], ctx);
      if (i == 0) {
        return dx;
      }
      activate_backward(ctx, Relu{}, cache.layers[i].x, MatrixArg<T, S>(dx), dx);
      dy = dx;
    }
  }
};

}  // namespace simgr::SIMGR_ABI
