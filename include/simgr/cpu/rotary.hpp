// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <span>

#include <simgr/core/rotary_angles.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// Turns every head of every row by angles that grow with the row's position:
///
///   (y1, y2) = (x1 cos a - x2 sin a, x2 cos a + x1 sin a),   a_j = position · frequency(j)
///
/// where x1, x2 are the two halves of a head, whose width must be even.
/// `direction` is 1, or -1 to turn back. Angles are computed in double: a float angle of a late
/// position has lost its fraction.
///
/// Shapes  x, y [rows, heads · head width], y may be x;  positions [rows]
template <class T>
void rotate_heads(Context& ctx, MatrixArg<T> x, std::span<const std::int32_t> positions,
                  Index head_width, const RotaryAngles& angles, int direction,
                  Matrix<T> y) noexcept {
  const Index half = head_width / 2;
  Arena::Scope scope(ctx.arena);
  EigenRow<T> cosine = as_row(ctx.take<T>(half)), sine = as_row(ctx.take<T>(half));
  EigenRow<T> first = as_row(ctx.take<T>(half));
  const Vector<double> frequency = ctx.take<double>(half);
  for (Index j = 0; j < half; ++j) { frequency[j] = angles.frequency(j, head_width); }
  for (Index row = 0; row < x.rows(); ++row) {
    for (Index j = 0; j < half; ++j) {
      const double angle = positions[static_cast<std::size_t>(row)] * frequency[j];
      cosine[j] = static_cast<T>(std::cos(angle));
      sine[j] = static_cast<T>(direction * std::sin(angle));
    }
    for (Index at = 0; at < x.cols(); at += head_width) {
      const T* in = x.row(row).data() + at;
      T* out = y.row(row).data() + at;
      first = EigenRow<const T>(in, half);
      const EigenRow<const T> second(in + half, half);
      EigenRow<T> out_first(out, half), out_second(out + half, half);
      out_first = first * cosine - second * sine;
      // Where y is x the second half is still as it was.
      out_second = second * cosine + first * sine;
    }
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
