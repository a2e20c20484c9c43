// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/ragged.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

// Circular convolution along packed sequences, column by column. A sequence stands on a circle of as
// many places as the kernel has rows; the places that it leaves free are zero and cost nothing.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// f(row i, row j, kernel row of their distance) for all pairs of rows in one sequence.
template <class F>
void for_each_pair(Index places, const Packing& packing, F&& f) {
  SIMGR_ASSERT(!packing.shared, "a filter reads whole sequences");
  for (std::size_t s = 0; s < packing.sequences(); ++s) {
    const Index first = packing.offsets[s], rows = packing.length(s);
    SIMGR_ASSERT(rows <= places, "a sequence longer than the kernel");
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < rows; ++j) { f(first + i, first + j, j <= i ? i - j : places + i - j); }
    }
  }
}

}  // namespace detail

/// What a real inverse Fourier transform multiplies real and imaginary parts of the frequencies
/// 0 … places / 2 by:  kernel = cosines · real + sines · imaginary.
///
/// Shapes  cosines, sines [places, places / 2 + 1]
template <class T>
void inverse_fourier(Context&, Matrix<T> cosines, Matrix<T> sines) noexcept {
  constexpr double turn = 6.283185307179586;
  const Index places = cosines.rows();
  for (Index t = 0; t < places; ++t) {
    for (Index f = 0; f < cosines.cols(); ++f) {
      const double twice = f == 0 || 2 * f == places ? 1 : 2;  // for its mirror image
      const double factor = twice / static_cast<double>(places),
                   angle = turn * static_cast<double>(f * t % places) / static_cast<double>(places);
      cosines(t, f) = static_cast<T>(factor * std::cos(angle));
      sines(t, f) = static_cast<T>(2 * f % places == 0 ? 0 : -factor * std::sin(angle));
    }
  }
}

/// y(i, ·) = Σ_j kernel(i - j mod places, ·) * x(j, ·) over the rows j of i's sequence.
///
/// Shapes  kernel [places, width];  x, y [tokens, width]
template <class T>
void circular_filter(Context&, MatrixArg<T> kernel, MatrixArg<T> x, const Packing& packing,
                     Matrix<T> y) noexcept {
  as_row(y).setZero();
  detail::for_each_pair(kernel.rows(), packing, [&](Index i, Index j, Index distance) {
    as_row(y.row(i)) += as_row(kernel.row(distance)) * as_row(x.row(j));
  });
}
/// The same for the last row of each sequence alone.   y [sequences, width]
template <class T>
void circular_filter_of_last(Context&, MatrixArg<T> kernel, MatrixArg<T> x, const Packing& packing,
                             Matrix<T> y) noexcept {
  as_row(y).setZero();
  for (std::size_t s = 0; s < packing.sequences(); ++s) {
    for (Index back = 0; back < packing.length(s); ++back) {
      as_row(y.row(static_cast<Index>(s))) +=
          as_row(kernel.row(back)) * as_row(x.row(packing.offsets[s + 1] - 1 - back));
    }
  }
}

/// dx is assigned, dkernel accumulates.
template <class T>
void circular_filter_backward(Context&, MatrixArg<T> kernel, MatrixArg<T> x, const Packing& packing,
                              MatrixArg<T> dy, Matrix<T> dx, Matrix<T> dkernel) noexcept {
  as_row(dx).setZero();
  detail::for_each_pair(kernel.rows(), packing, [&](Index i, Index j, Index distance) {
    as_row(dx.row(j)) += as_row(kernel.row(distance)) * as_row(dy.row(i));
    as_row(dkernel.row(distance)) += as_row(x.row(j)) * as_row(dy.row(i));
  });
}

}  // namespace simgr::SIMGR_ABI::cpu
