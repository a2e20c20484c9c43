// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Numbers of a Sinkhorn assignment.
struct SinkhornConfig {
  double epsilon = 0.003;
  Index iterations = 50;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"epsilon", 1e-6, 1e3, "entropy of the plan: the smaller, the nearer to one code a row"},
      c.epsilon);
    f(Field{"iterations", 1, 1e5, "scalings of rows and columns"}, c.iterations);
  }
};

/// Rows spread evenly over codes: the plan Q >= 0 of entropic optimal transport with rows that sum
/// to 1 / rows and columns that sum to 1 / codes.
///
///   D' = (D - middle) / (max D - middle + 1e-5),  middle = (max D + min D) / 2
///   log Q = f_i + g_k - D'_ik / epsilon
///   iterations times:  f_i = -lse_k(g_k - D'_ik / epsilon) - ln rows
///                      g_k = -lse_i(f_i - D'_ik / epsilon) - ln codes
///
/// Only the soft plan is even: two rows may still name one code, and equal rows always do. The first
/// iteration is made in logarithms; the next ones scale the plan it gives, which is the same in
/// exact arithmetic and costs no exponential, and return to logarithms where factors grow beyond
/// 1e50.
///
/// Source  Cuturi 2013; Zheng et al. (LC-Rec) 2024, section 3.2 for D' and the use; Schmitzer 2019,
///         section 3.1 for the change between scalings and logarithms
class Sinkhorn {
public:
  explicit Sinkhorn(const SinkhornConfig& config = {}) : config_(config) {}

  /// log Q of squared distances D [rows, codes]; the view is valid until the next call.
  ///
  /// Cost  O(iterations · rows · codes)
  Matrix<const double> log_plan(MatrixArg<double> distances) {
    rows_ = distances.rows();
    codes_ = distances.cols();
    plan_.resize(static_cast<std::size_t>(distances.size()));
    log_.resize(plan_.size());
    f_.assign(static_cast<std::size_t>(rows_), 0.0);
    g_.assign(static_cast<std::size_t>(codes_), 0.0);
    if (distances.empty()) {
      return {log_.data(), {rows_, codes_}};
    }
    const auto [least, most] = std::minmax_element(distances.begin(), distances.end());
    const double middle = (*most + *least) / 2, width = *most - middle + 1e-5;
    for (std::size_t i = 0; i < log_.size(); ++i) {
      log_[i] = -(distances.data()[i] - middle) / width / config_.epsilon;
    }
    iterate_logarithms();
    for (Index i = 1; i < config_.iterations; ++i) {
      if (!iterate_scalings()) {
        absorb();
        iterate_logarithms();
      }
    }
    absorb();
    for (Index row = 0; row < rows_; ++row) {
      double* const at = log_.data() + row * codes_;
      for (Index k = 0; k < codes_; ++k) { at[k] += f_[index(row)] + g_[index(k)]; }
    }
    return {log_.data(), {rows_, codes_}};
  }

  /// The code of largest mass of every row; ties to the lower code.
  void assign(MatrixArg<double> distances, Vector<std::int32_t> codes) {
    const Matrix<const double> plan = log_plan(distances);
    for (Index row = 0; row < plan.rows(); ++row) {
      const auto mass = plan.row(row);
      codes[row] =
          static_cast<std::int32_t>(std::max_element(mass.begin(), mass.end()) - mass.begin());
    }
  }

private:
  static std::size_t index(Index i) noexcept { return static_cast<std::size_t>(i); }

  /// One iteration on f and g; afterwards plan_ is Q, its scalings u and v are 1.
  void iterate_logarithms() {
    for (Index row = 0; row < rows_; ++row) {
      const double* const s = log_.data() + row * codes_;
      double most = -std::numeric_limits<double>::infinity(), sum = 0;
      for (Index k = 0; k < codes_; ++k) { most = std::max(most, s[k] + g_[index(k)]); }
      for (Index k = 0; k < codes_; ++k) { sum += std::exp(s[k] + g_[index(k)] - most); }
      f_[index(row)] = -(most + std::log(sum)) - std::log(static_cast<double>(rows_));
    }
    v_.assign(
        index(codes_),
        -std::numeric_limits<double>::infinity());  // the largest of each column, then its sum
    for (Index row = 0; row < rows_; ++row) {
      const double* const s = log_.data() + row * codes_;
      for (Index k = 0; k < codes_; ++k) {
        v_[index(k)] = std::max(v_[index(k)], s[k] + f_[index(row)]);
      }
    }
    u_.assign(index(codes_), 0.0);
    for (Index row = 0; row < rows_; ++row) {
      const double* const s = log_.data() + row * codes_;
      double* const q = plan_.data() + row * codes_;
      for (Index k = 0; k < codes_; ++k) {
        q[k] = std::exp(s[k] + f_[index(row)] - v_[index(k)]);
        u_[index(k)] += q[k];
      }
    }
    const double log_codes = std::log(static_cast<double>(codes_));
    for (Index k = 0; k < codes_; ++k) {
      g_[index(k)] = -(v_[index(k)] + std::log(u_[index(k)])) - log_codes;
      v_[index(k)] = 1 / (static_cast<double>(codes_) * u_[index(k)]);
    }
    for (Index row = 0; row < rows_; ++row) {
      double* const q = plan_.data() + row * codes_;
      for (Index k = 0; k < codes_; ++k) { q[k] *= v_[index(k)]; }
    }
    u_.assign(index(rows_), 1.0);
    v_.assign(index(codes_), 1.0);
  }

  /// One iteration on the scalings of plan_; false, and nothing done, where a factor gets out of
  /// hand.
  bool iterate_scalings() {
    next_u_.resize(index(rows_));
    next_v_.assign(index(codes_), 0.0);
    bool tame = true;
    for (Index row = 0; row < rows_; ++row) {
      const double* const q = plan_.data() + row * codes_;
      double lanes[8] = {};
      Index k = 0;
      for (; k + 8 <= codes_; k += 8) {
        for (Index l = 0; l < 8; ++l) { lanes[l] += q[k + l] * v_[index(k + l)]; }
      }
      for (Index l = 0; k + l < codes_; ++l) { lanes[l] += q[k + l] * v_[index(k + l)]; }
      const double sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
                         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
      const double u = 1 / (static_cast<double>(rows_) * sum);
      tame = tame && u > 1e-50 && u < 1e50;
      next_u_[index(row)] = u;
      for (Index j = 0; j < codes_; ++j) { next_v_[index(j)] += q[j] * u; }
    }
    for (double& v : next_v_) {
      v = 1 / (static_cast<double>(codes_) * v);
      tame = tame && v > 1e-50 && v < 1e50;
    }
    if (tame) {
      u_.swap(next_u_);
      v_.swap(next_v_);
    }
    return tame;
  }

  /// Takes the scalings into f and g.
  void absorb() {
    for (std::size_t i = 0; i < f_.size(); ++i) { f_[i] += std::log(u_[i]); }
    for (std::size_t k = 0; k < g_.size(); ++k) { g_[k] += std::log(v_[k]); }
    u_.assign(f_.size(), 1.0);
    v_.assign(g_.size(), 1.0);
  }

  SinkhornConfig config_;
  Index rows_ = 0, codes_ = 0;
  std::vector<double> log_;   // [rows, codes], -D' / epsilon
  std::vector<double> plan_;  // [rows, codes], Q before the scalings
  std::vector<double> f_, g_, u_, v_, next_u_, next_v_;
};

}  // namespace simgr::SIMGR_ABI::tokenizer
