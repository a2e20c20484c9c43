// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <simgr/core/parameter.hpp>
#include <simgr/core/rotary_angles.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Rotary position: queries and keys are turned by angles of their positions, so that their product
/// depends on the distance between them alone.
///
///   (y1, y2) = (x1 cos a - x2 sin a, x2 cos a + x1 sin a)
///   a_j      = position · angles.frequency(j)
///
/// where x1, x2 are the two halves of a head.
///
/// Shapes      x, y [tokens, heads · head_width];  positions [tokens]
/// Parameters  none
/// Cache       positions, borrowed
/// Cost        O(tokens · heads · head_width), and head_width sines and cosines a token
/// Gradients   dx = dy turned back, assigned
/// Source      Su et al. 2021, section 3.2.2, in the half-split layout of Llama and Qwen
struct RotaryPosition {
  struct Config {
    Index head_width = 0;  // even
    RotaryAngles angles{};
  };
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {
    std::span<const std::int32_t> positions;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>&, MatrixArg<T, S> x,
                              std::span<const std::int32_t> positions, Cache<T, S>& cache,
                              Ctx& ctx) {
    cache.positions = positions;
    Matrix<T, S> y = ctx.template take<T>(x.rows(), x.cols());
    rotate_heads(ctx, x, positions, c.head_width, c.angles, 1, y);
    return y;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>&, const Params<T, S>&,
                               MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dx = ctx.template take<T>(dy.rows(), dy.cols());
    rotate_heads(ctx, dy, cache.positions, c.head_width, c.angles, -1, dx);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
