// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/product_scores.hpp>
#include <simgr/flow.hpp>
#include <simgr/loss/negatives.hpp>

// Losses of a target against a few drawn items: binary cross-entropy and BPR.

namespace simgr::SIMGR_ABI {

namespace detail {

/// ln(1 + e^x) and its slope, without overflow.
struct Softplus1 {
  double value, slope;
};
inline Softplus1 softplus(double x) {
  const double small = std::exp(-std::abs(x));
  return {std::max(x, 0.0) + std::log1p(small), x >= 0 ? 1 / (1 + small) : small / (1 + small)};
}

/// Draws ids, scores them, lets `row(scores_of_row)` turn each row into its gradient and its value,
/// and goes back.
template <class Negatives, class T, class S, class Ctx, class Row>
double over_drawn(const ProductScores<T, S>& scores, const LossBatch& batch, T weight, Ctx& ctx,
                  Row&& row) {
  const Matrix<std::int32_t, S> ids =
      ctx.template take<std::int32_t>(scores.rows(), 1 + Negatives::per_row);
  draw_negatives<Negatives>(batch, scores.candidates(), ids, ctx);
  const Matrix<T, S> s = ctx.template take<T>(ids.rows(), ids.cols());
  scores.chosen(ctx, ids, s);
  double sum = 0;
  for (Index r = 0; r < s.rows(); ++r) { sum += row(s.row(r)); }
  for (T& gradient : s) { gradient *= weight; }
  scores.chosen_backward(ctx, ids, s);
  return sum * static_cast<double>(weight);
}

}  // namespace detail

/// −log σ(s_target) − Σ_j log(1 − σ(s_j)) over drawn items j.
/// Source: Kang & McAuley 2018, equation 7 (one uniform negative)
template <class Negatives>
struct BinaryCrossEntropy {
  using In = flow::ItemScores;
  using Out = double;
  using Config = NoFields;

  template <class T, class S, class Ctx>
  static double value_and_gradient(const Config&, const ProductScores<T, S>& scores,
                                   const LossBatch& batch, T weight, Ctx& ctx) {
    return detail::over_drawn<Negatives>(scores, batch, weight, ctx, [](Vector<T> s) {
      const detail::Softplus1 target = detail::softplus(-static_cast<double>(s[0]));
      double value = target.value;
      s[0] = static_cast<T>(-target.slope);
      for (Index j = 1; j < s.size(); ++j) {
        const detail::Softplus1 negative = detail::softplus(static_cast<double>(s[j]));
        value += negative.value;
        s[j] = static_cast<T>(negative.slope);
      }
      return value;
    });
  }
};

/// −(1 / N) Σ_j log σ(s_target − s_j) over N drawn items j.
/// Source: Rendle et al. 2009, section 4
template <class Negatives>
struct Bpr {
  using In = flow::ItemScores;
  using Out = double;
  using Config = NoFields;

  template <class T, class S, class Ctx>
  static double value_and_gradient(const Config&, const ProductScores<T, S>& scores,
                                   const LossBatch& batch, T weight, Ctx& ctx) {
    return detail::over_drawn<Negatives>(scores, batch, weight, ctx, [](Vector<T> s) {
      const double share = 1 / static_cast<double>(s.size() - 1);
      double value = 0, dtarget = 0;
      for (Index j = 1; j < s.size(); ++j) {
        const detail::Softplus1 pair = detail::softplus(static_cast<double>(s[j] - s[0]));
        value += share * pair.value;
        dtarget -= share * pair.slope;
        s[j] = static_cast<T>(share * pair.slope);
      }
      s[0] = static_cast<T>(dtarget);
      return value;
    });
  }
};

}  // namespace simgr::SIMGR_ABI
