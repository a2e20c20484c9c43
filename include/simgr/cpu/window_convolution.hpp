// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/segment.hpp>

// Convolutions over short sequences that end at the last of a number of places. What stands before
// them would be zero; it is left out, and counted where a maximum can lie there.

namespace simgr::SIMGR_ABI::cpu {

/// y(s, f · width + c) = bias(f) + Σ_t weight(f, place of t) x(t, c).
///
/// Shapes  weight [filters, places];  x [tokens, width];  y [sequences, filters · width]
template <class T>
void vertical_filters(Context&, MatrixArg<T> weight, VectorArg<T> bias, MatrixArg<T> x,
                      Offsets offsets, Matrix<T> y) noexcept {
  const Index width = x.cols(), places = weight.cols();
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    for (Index f = 0; f < weight.rows(); ++f) {
      EigenRow<T> out(y.row(s).data() + f * width, width);
      out.setConstant(bias[f]);
      for (Index i = 0; i < rows; ++i) {
        out += weight(f, places - rows + i) * as_row(x.row(first + i));
      }
    }
  });
}
/// Adds to dx, dweight and dbias.
template <class T>
void vertical_filters_backward(Context&, MatrixArg<T> weight, MatrixArg<T> x, Offsets offsets,
                               MatrixArg<T> dy, Matrix<T> dx, Matrix<T> dweight,
                               Vector<T> dbias) noexcept {
  const Index width = x.cols(), places = weight.cols();
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    for (Index f = 0; f < weight.rows(); ++f) {
      const EigenRow<const T> d(dy.row(s).data() + f * width, width);
      dbias[f] += d.sum();
      for (Index i = 0; i < rows; ++i) {
        const Index place = places - rows + i;
        dweight(f, place) += (d * as_row(x.row(first + i))).sum();
        as_row(dx.row(first + i)) += weight(f, place) * d;
      }
    }
  });
}

namespace detail {

/// f(height, filter, row of its first slice, column of its maximum): filters of height 1 … places, and
/// a slice for each item that a filter covers.
template <class F>
void for_each_filter(Index places, Index filters, F&& f) {
  Index slice = 0;
  for (Index height = 1; height <= places; ++height) {
    for (Index filter = 0; filter < filters; ++filter, slice += height) {
      f(height, slice, (height - 1) * filters + filter);
    }
  }
}

}  // namespace detail

/// y(s, h) = max(0, max_w bias(h) + Σ_k slices(token at w + k, slice k of h)) over all windows w of the
/// filter's height among the places, for `filters` filters of every height 1 … places.
///
/// Shapes  slices [tokens, filters · places (places + 1) / 2], the product of every item with every
///         slice of every filter;  bias [filters · places];  y [sequences, filters · places]
///         best [sequences, filters · places]: the place where the maximum begins, or -1 where it is 0
template <class T>
void horizontal_maxima(Context&, Index filters, MatrixArg<T> slices, VectorArg<T> bias,
                       Offsets offsets, Matrix<T> y, Matrix<std::int32_t> best) noexcept {
  const Index places = bias.size() / filters;
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    const Index before = places - rows;  // that are zero
    detail::for_each_filter(places, filters, [&](Index height, Index slice, Index column) {
      T largest = 0;
      best(s, column) = -1;
      for (Index w = std::max<Index>(0, before - height); w + height <= places; ++w) {
        T sum = bias[column];
        for (Index k = std::max<Index>(0, before - w); k < height; ++k) {
          sum += slices(first + w + k - before, slice + k);
        }
        if (sum > largest) {
          largest = sum;
          best(s, column) = static_cast<std::int32_t>(w);
        }
      }
      y(s, column) = largest;
    });
  });
}
/// dslices is assigned, dbias accumulates.
template <class T>
void horizontal_maxima_backward(Context&, Index filters, Matrix<const std::int32_t> best,
                                Offsets offsets, MatrixArg<T> dy, Matrix<T> dslices,
                                Vector<T> dbias) noexcept {
  const Index places = dbias.size() / filters;
  as_row(dslices).setZero();
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    const Index before = places - rows;
    detail::for_each_filter(places, filters, [&](Index height, Index slice, Index column) {
      const Index w = best(s, column);
      if (w >= 0) {
        dbias[column] += dy(s, column);
        for (Index k = std::max<Index>(0, before - w); k < height; ++k) {
          dslices(first + w + k - before, slice + k) = dy(s, column);
        }
      }
    });
  });
}

}  // namespace simgr::SIMGR_ABI::cpu
