// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// y = gain (x - mean) / sqrt(variance + epsilon) + bias, row by row; biased variance.
///
/// Shapes  x, y [rows, width];  gain, bias [width];  mean and scale [rows] keep the mean and
///         1 / sqrt(variance + epsilon) for the backward pass
template <class T>
void layer_norm(Context&, VectorArg<T> gain, VectorArg<T> bias, T epsilon, MatrixArg<T> x,
                Matrix<T> y, Vector<T> mean, Vector<T> scale) noexcept {
  const T share = T(1) / static_cast<T>(x.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    EigenRow<T> out = as_row(y.row(i));
    const T centre = as_row(x.row(i)).sum() * share;
    out = as_row(x.row(i)) - centre;
    // The mean of large inputs is itself rounded; what is left of it is taken off once more.
    const T rest = out.sum() * share;
    out -= rest;
    const T inverse = T(1) / std::sqrt(out.square().sum() * share + epsilon);
    out = out * inverse * as_row(gain) + as_row(bias);
    mean[i] = centre + rest;
    scale[i] = inverse;
  }
}

/// With g = dy gain and n = (x - mean) scale, row by row; parameters accumulate, dx is assigned:
///
///   dgain += Σ dy n;   dbias += Σ dy;   dx = scale (g - mean(g) - n mean(g n))
///
/// An empty dgain is not asked for, and neither is dbias.
template <class T>
void layer_norm_backward(Context& ctx, VectorArg<T> gain, MatrixArg<T> x, VectorArg<T> mean,
                         VectorArg<T> scale, MatrixArg<T> dy, Matrix<T> dx, Vector<T> dgain,
                         Vector<T> dbias) noexcept {
  const T share = T(1) / static_cast<T>(x.cols());
  Arena::Scope scope(ctx.arena);
  EigenRow<T> n = as_row(ctx.take<T>(x.cols()));
  for (Index i = 0; i < x.rows(); ++i) {
    n = (as_row(x.row(i)) - mean[i]) * scale[i];
    if (!dgain.empty()) {
      as_row(dgain) += as_row(dy.row(i)) * n;
      as_row(dbias) += as_row(dy.row(i));
    }
    EigenRow<T> out = as_row(dx.row(i));
    out = as_row(dy.row(i)) * as_row(gain);
    const T mean_g = out.sum() * share;
    const T mean_gn = (out * n).sum() * share;
    out = scale[i] * (out - mean_g - n * mean_gn);
  }
}

/// y = gain x / sqrt(mean(x²) + epsilon), row by row.   scale [rows] keeps the inverse root
template <class T>
void rms_norm(Context&, VectorArg<T> gain, T epsilon, MatrixArg<T> x, Matrix<T> y,
              Vector<T> scale) noexcept {
  const T share = T(1) / static_cast<T>(x.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    scale[i] = T(1) / std::sqrt(as_row(x.row(i)).square().sum() * share + epsilon);
    as_row(y.row(i)) = as_row(x.row(i)) * scale[i] * as_row(gain);
  }
}

/// With g = dy gain and n = x scale, row by row; dgain accumulates, dx is assigned:
///
///   dgain += Σ dy n;   dx = scale (g - n mean(g n))
///
/// An empty dgain is not asked for.
template <class T>
void rms_norm_backward(Context&, VectorArg<T> gain, MatrixArg<T> x, VectorArg<T> scale,
                       MatrixArg<T> dy, Matrix<T> dx, Vector<T> dgain) noexcept {
  const T share = T(1) / static_cast<T>(x.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    if (!dgain.empty()) {
      as_row(dgain) += as_row(dy.row(i)) * as_row(x.row(i)) * scale[i];
    }
    const T mean_gn =
        (as_row(dy.row(i)) * as_row(gain) * as_row(x.row(i))).sum() * scale[i] * share;
    as_row(dx.row(i)) =
        scale[i] * (as_row(dy.row(i)) * as_row(gain) - as_row(x.row(i)) * (scale[i] * mean_gn));
  }
}

/// y(i) = 1 / |x(i, ·)|; a row of length below 1e-12 counts as 1e-12.
template <class T>
void inverse_lengths(Context&, MatrixArg<T> x, Vector<T> y) noexcept {
  for (Index i = 0; i < x.rows(); ++i) {
    y[i] = T(1) / std::max(std::sqrt(as_row(x.row(i)).square().sum()), T(1e-12));
  }
}

/// y = factor x / |x|, row by row; a row of length below 1e-12 is divided by 1e-12.
/// scale [rows] keeps 1 / |x|.
template <class T>
void normalise_rows(Context&, MatrixArg<T> x, T factor, Matrix<T> y, Vector<T> scale) noexcept {
  for (Index i = 0; i < x.rows(); ++i) {
    const T length = std::sqrt(as_row(x.row(i)).square().sum());
    scale[i] = T(1) / std::max(length, T(1e-12));
    as_row(y.row(i)) = as_row(x.row(i)) * (factor * scale[i]);
  }
}

/// dx = factor / |x| (dy - n (n · dy)),  n = x / |x|; assigned or added as `write` says.
template <class T>
void normalise_rows_backward(Context&, MatrixArg<T> x, T factor, VectorArg<T> scale,
                             MatrixArg<T> dy, Matrix<T> dx, Write write) noexcept {
  for (Index i = 0; i < x.rows(); ++i) {
    const T along = (as_row(x.row(i)) * as_row(dy.row(i))).sum() * scale[i] * scale[i];
    const T outer = factor * scale[i];
    if (write == Write::assign) {
      as_row(dx.row(i)) = outer * (as_row(dy.row(i)) - as_row(x.row(i)) * along);
    } else {
      as_row(dx.row(i)) += outer * (as_row(dy.row(i)) - as_row(x.row(i)) * along);
    }
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
