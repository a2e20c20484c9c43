// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// y = e^(y - max) / Σ e^(y - max), row by row, in place. Entries of -inf become 0, or the smallest
/// positive number where a vectorised exponential saturates.
///
/// Errors  a row with nothing finite is a broken precondition (SIMGR_ASSERT)
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

/// dx = y (dy - Σ y dy), row by row, assigned.   y is the softmax; dx may be dy
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
/// Two passes over the row while it is in cache: the maximum, then e^(s - max) with its sum.
///
/// Shapes  s [candidates];  target 0 … candidates - 1
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

/// The same against a target of mass 1 - smoothing with `smoothing` spread evenly over all entries,
/// the target included.
template <class T>
double smoothed_cross_entropy_row(Context& ctx, Vector<T> s, Index target, T smoothing,
                                  T weight) noexcept {
  const double count = static_cast<double>(s.size()), spread = static_cast<double>(smoothing);
  const double mean = static_cast<double>(as_row(s).sum()) / count;
  const double of_target = static_cast<double>(s[target]);
  const double value = cross_entropy_row(ctx, s, target, weight);
  as_row(s) -= weight * static_cast<T>(spread / count);
  s[target] += weight * smoothing;
  return value + spread * (of_target - mean);
}

/// The same against any distribution of mass over the row:
///
///   returns  Σ mass (logsumexp(s) - s);   s becomes  (softmax(s) Σ mass - mass) · weight
///
/// Shapes  s, mass [candidates]
template <class T>
double cross_entropy_row(Context&, Vector<T> s, VectorArg<T> mass, T weight) noexcept {
  EigenRow<T> row = as_row(s);
  const double all = static_cast<double>(as_row(mass).sum());
  const T largest = row.maxCoeff();
  row -= largest;
  const double inner = static_cast<double>((row * as_row(mass)).sum());
  row = row.exp();
  const double sum = static_cast<double>(row.sum());
  row = row * static_cast<T>(static_cast<double>(weight) * all / sum) - as_row(mass) * weight;
  return all * std::log(sum) - inner;
}

/// y = x - log Σ e^x, row by row.   y may be x
template <class T>
void log_softmax_rows(Context&, MatrixArg<T> x, Matrix<T> y) noexcept {
  for (Index i = 0; i < x.rows(); ++i) {
    EigenRow<T> row = as_row(y.row(i));
    row = as_row(x.row(i)) - as_row(x.row(i)).maxCoeff();
    row -= std::log(row.exp().sum());
  }
}

/// dx = dy - e^y Σ dy, row by row, assigned.   y is the log softmax; dx may be dy
template <class T>
void log_softmax_rows_backward(Context&, MatrixArg<T> y, MatrixArg<T> dy, Matrix<T> dx) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    const T sum = as_row(dy.row(i)).sum();
    as_row(dx.row(i)) = as_row(dy.row(i)) - as_row(y.row(i)).exp() * sum;
  }
}

/// BPR-max of one row, value and gradient:
///
///   returns -log Σ_j w_j σ(s_own - s_j) + λ Σ_j w_j s_j²,   w = softmax of the other scores
///
/// Entries of -inf have no part in it; without any other, value and gradient are 0.
///
/// Shapes  s [size], becomes its gradient;  weights [size], becomes w, 0 at `own`
/// Source  Hidasi & Karatzoglou 2018, the BPR-max loss with score regularisation
// forward: see above.  With A = Σ w σ and g_j = λ s_j² - σ_j / A:
//
//   ds_j = w_j (g_j - Σ w g + σ_j (1 - σ_j) / A + 2 λ s_j);   ds_own = -Σ w σ (1 - σ) / A
template <class T>
double bpr_max_row(Context&, Vector<T> s, Index own, double regularisation,
                   Vector<T> weights) noexcept {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (Index j = 0; j < s.size(); ++j) {
    if (j != own) {
      largest = std::max(largest, static_cast<double>(s[j]));
    }
  }
  for (Index j = 0; j < s.size(); ++j) {
    const bool absent = j == own || !std::isfinite(static_cast<double>(s[j]));
    weights[j] = absent ? T(0) : static_cast<T>(std::exp(static_cast<double>(s[j]) - largest));
    sum += static_cast<double>(weights[j]);
  }
  if (sum == 0) {  // nothing to tell the target from
    std::fill(s.begin(), s.end(), T(0));
    return 0;
  }
  const double positive = static_cast<double>(s[own]);
  const auto sigmoid = [&](Index j) {
    return 1 / (1 + std::exp(static_cast<double>(s[j]) - positive));
  };
  double above = 0, squares = 0;
  for (Index j = 0; j < s.size(); ++j) {
    if (weights[j] > T(0)) {
      weights[j] = static_cast<T>(static_cast<double>(weights[j]) / sum);
      const double w = static_cast<double>(weights[j]), score = static_cast<double>(s[j]);
      above += w * sigmoid(j);
      squares += w * score * score;
    }
  }
  double of_own = 0;
  for (Index j = 0; j < s.size(); ++j) {
    if (j == own) {
      continue;
    }
    const double w = static_cast<double>(weights[j]);
    if (w == 0) {
      s[j] = T(0);
      continue;
    }
    const double score = static_cast<double>(s[j]), chance = sigmoid(j);
    const double slope = chance * (1 - chance) / above;
    // Σ w g = λ Σ w s² - 1
    const double through_weight = regularisation * (score * score - squares) + 1 - chance / above;
    s[j] = static_cast<T>(w * (through_weight + slope + 2 * regularisation * score));
    of_own -= w * slope;
  }
  s[own] = static_cast<T>(of_own);
  return -std::log(above) + regularisation * squares;
}

/// log Σ e^s of one row.
template <class T>
double log_sum_exp(Context&, Vector<T> s) noexcept {
  const T largest = as_row(s).maxCoeff();
  return static_cast<double>(largest) +
         std::log(static_cast<double>((as_row(s) - largest).exp().sum()));
}

}  // namespace simgr::SIMGR_ABI::cpu
