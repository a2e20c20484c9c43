// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/digit_products.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/flow.hpp>
#include <simgr/loss/negatives.hpp>

namespace simgr::SIMGR_ABI {

/// −1/digits Σ_j log p_j[code j of the target]: the digits of the next item, each on its own. With
/// heads that read one state (DigitHeads) this is the loss of a parallel model; with states that
/// have read the digits before (teacher forcing) that of an autoregressive one.
///
/// Scores are divided by the temperature here and nowhere else: lists come from the probabilities as
/// they are. Below 1, codes that score near the target's weigh more in the gradient.
///
/// Cost    6 rows · Σ codes · width flops, or digits times that where all codes compete
/// Source  RPG (arXiv 2506.05781); the mean over label tokens of TIGER and LC-Rec;
///         temperature: the ranking-guided loss of LETTER (CIKM 2024)
struct DigitCrossEntropy {
  using In = flow::DigitScores;
  using Out = double;
  struct Config {
    Index tile_bytes = 16 << 20;  // of the scores that are kept between two visits of the keys
    double temperature = 1;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"tile_bytes", 1 << 12, 1 << 30, "bytes of one tile of scores"}, c.tile_bytes);
      f(Field{"temperature", 1e-3, 100, "divides the scores, in training alone"}, c.temperature);
    }
  };

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    const T share = weight / static_cast<T>(scores.digits());
    if (c.temperature == 1) {
      return scores.cross_entropy(ctx, batch.targets, share, c.tile_bytes);
    }
    // (q / t) · k: the gradient of k is a product with q / t, that of q is 1 / t of that of q / t.
    const auto inverse = static_cast<T>(1 / c.temperature);
    const auto queries = ctx.template take<T>(scores.queries.rows(), scores.queries.cols());
    copy(ctx, scores.queries, queries, Write::assign);
    scale(ctx, queries, inverse);
    Scores scaled = scores;
    scaled.queries = queries;
    const double loss = scaled.cross_entropy(ctx, batch.targets, share, c.tile_bytes);
    scale(ctx, scores.dqueries, inverse);
    return loss;
  }
};

}  // namespace simgr::SIMGR_ABI
