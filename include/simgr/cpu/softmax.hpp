// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// Turns each row into e^(y - max) / Σ e^(y - max) and returns nothing; -inf entries become 0.
/// A row with nothing finite is a broken precondition.
template <class T>
void softmax_rows(Context&, Matrix<T> y) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    EigenRow<T> row = as_row(y.row(i));
    const T largest = row.maxCoeff();
    SIMGR_ASSERT(std::isfinite(static_cast<double>(largest)),
                 "softmax_rows: a row with nothing visible");
    row = (row - largest).exp();
    row *= T(1) / row.sum();
  }
}

/// dx = y (dy - Σ y dy), row by row.   y is the softmax; dx may alias dy
// forward: y = softmax(x).  A softmax row needs only its output:  dx = y (dy - sum(y dy))
template <class T>
void softmax_rows_backward(Context&, MatrixArg<T> y, MatrixArg<T> dy, Matrix<T> dx) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    const T inner = (as_row(y.row(i)) * as_row(dy.row(i))).sum();
    as_row(dx.row(i)) = as_row(y.row(i)) * (as_row(dy.row(i)) - inner);
  }
}

/// Cross-entropy of one score row against one target, value and gradient in one visit:
///
///   returns  logsumexp(s) - s_target;   s becomes  (softmax(s) - 1[target]) · weight
///
/// Two passes over the row while it is in cache: the maximum, then e^(s - max) with its sum (and
/// the scale).
template <class T>
double cross_entropy_row(Context&, Vector<T> s, Index target, T weight) noexcept {
  EigenRow<T> row = as_row(s);
  const T largest = row.maxCoeff();
  const T of_target = row[target];
  row = (row - largest).exp();
  const double sum = static_cast<double>(row.sum());
  row *= static_cast<T>(static_cast<double>(weight) / sum);
  row[target] -= weight;
  return std::log(sum) + static_cast<double>(largest) - static_cast<double>(of_target);
}

/// log Σ e^s of one row.
template <class T>
double log_sum_exp(Context&, VectorArg<T> s) noexcept {
  const T largest = as_row(s).maxCoeff();
  return static_cast<double>(largest) +
         std::log(static_cast<double>((as_row(s) - largest).exp().sum()));
}

}  // namespace simgr::SIMGR_ABI::cpu
