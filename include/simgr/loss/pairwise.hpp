// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/product_scores.hpp>
#include <simgr/flow.hpp>
#include <simgr/loss/negatives.hpp>

// Losses of a target against a few items: binary cross-entropy, BPR and BPR-max.

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
template <class Negatives, class Scores, class T, class Ctx, class Row>
double over_drawn(const Scores& scores, const LossBatch& batch, T weight, Ctx& ctx, Row&& row) {
  const auto ids = ctx.template take<std::int32_t>(scores.rows(), 1 + Negatives::per_row);
  draw_negatives<Negatives>(batch, scores.candidates(), ids, ctx);
  const auto s = ctx.template take<T>(ids.rows(), ids.cols());
  scores.chosen(ctx, ids, s);
  double sum = 0;
  for (Index r = 0; r < s.rows(); ++r) { sum += row(s.row(r)); }
  for (T& gradient : s) { gradient *= weight; }
  scores.chosen_backward(ctx, ids, s);
  return sum * static_cast<double>(weight);
}

}  // namespace detail

/// −log σ(s_target) − Σ_j log(1 − σ(s_j)) over drawn items j.
///
/// Source  Kang & McAuley 2018, equation 7 (one uniform negative);
///         averaged over many: Tang & Wang 2018
template <class Negatives>
struct BinaryCrossEntropy {
  using In = flow::ItemScores;
  using Out = double;
  struct Config {
    bool averaged = false;  // the mean over the drawn items in place of their sum

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"averaged", 0, 1, "mean over the drawn items in place of their sum"}, c.averaged);
    }
  };

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    return detail::over_drawn<Negatives>(scores, batch, weight, ctx, [&](Vector<T> s) {
      const double share = c.averaged ? 1 / static_cast<double>(s.size() - 1) : 1;
      const detail::Softplus1 target = detail::softplus(-static_cast<double>(s[0]));
      double value = target.value;
      s[0] = static_cast<T>(-target.slope);
      for (Index j = 1; j < s.size(); ++j) {
        const detail::Softplus1 negative = detail::softplus(static_cast<double>(s[j]));
        value += share * negative.value;
        s[j] = static_cast<T>(share * negative.slope);
      }
      return value;
    });
  }
};

/// −(1 / N) Σ_j log(σ(s_target − s_j) + ε) over N drawn items j.
///
/// Source  Rendle et al. 2009, section 4; ε: the published code of HGN
template <class Negatives>
struct Bpr {
  using In = flow::ItemScores;
  using Out = double;
  struct Config {
    double epsilon = 0;  // ε

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"epsilon", 0, 1, "added to each chance: pairs that are lost for good count less"},
        c.epsilon);
    }
  };

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    return detail::over_drawn<Negatives>(scores, batch, weight, ctx, [&](Vector<T> s) {
      const double share = 1 / static_cast<double>(s.size() - 1);
      double value = 0, dtarget = 0;
      for (Index j = 1; j < s.size(); ++j) {
        const detail::Softplus1 pair = detail::softplus(static_cast<double>(s[j] - s[0]));
        const double chance = 1 - pair.slope;
        double slope = share * pair.slope;
        if (c.epsilon > 0) {
          value -= share * std::log(chance + c.epsilon);
          slope *= chance / (chance + c.epsilon);
        } else {
          value += share * pair.value;
        }
        dtarget -= slope;
        s[j] = static_cast<T>(slope);
      }
      s[0] = static_cast<T>(dtarget);
      return value;
    });
  }
};

/// −log Σ_j w_j σ(s_target − s_j) + λ Σ_j w_j s_j²,   w = softmax_j(s_j) over the other items j:
/// those drawn for the row, with InBatch<false> the other rows' targets, with InBatchAndDrawn<false>
/// those and items drawn for all rows. The gradient flows through w as well.
///
/// Source  Hidasi & Karatzoglou 2018, equations 9 and 10
template <class Negatives>
struct BprMax {
  using In = flow::ItemScores;
  using Out = double;
  struct Config {
    double regularisation = 1;  // λ
    detail::NegativesConfig<Negatives> negatives{};

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"regularisation", 0, 100, "weight of the squared scores of other items"},
        c.regularisation);
      fields_of("negatives", c.negatives, f);
    }
  };

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    if constexpr (requires { Negatives::per_row; }) {
      const auto weights = ctx.template take<T>(1 + Negatives::per_row);
      return detail::over_drawn<Negatives>(scores, batch, weight, ctx, [&](Vector<T> s) {
        return bpr_max_row(ctx, s, 0, c.regularisation, weights);
      });
    } else {
      static_assert(!Negatives::corrected,
                    "simgr: BprMax weighs the other items by their scores, so InBatch<false> is "
                    "the form it has; it knows no log-q correction");
      const SharedCandidates all =
          Negatives::candidates(c.negatives, batch, scores.candidates(), ctx);
      const Index rows = scores.rows(), count = static_cast<Index>(all.ids.size());
      const auto gathered = ctx.template take<T>(count, scores.keys.cols());
      const auto s = ctx.template take<T>(rows, count);
      const auto weights = ctx.template take<T>(count);
      scores.shared(ctx, all.ids, gathered, s);
      double sum = 0;
      for (Index r = 0; r < rows; ++r) {
        correct_sampled(
            all.ids, r, [](Index) { return 0.0; }, s.row(r));
        sum += bpr_max_row(ctx, s.row(r), r, c.regularisation, weights);
      }
      for (T& gradient : s) { gradient *= weight; }
      scores.shared_backward(ctx, all.ids, gathered, s);
      return sum * static_cast<double>(weight);
    }
  }
};

}  // namespace simgr::SIMGR_ABI
