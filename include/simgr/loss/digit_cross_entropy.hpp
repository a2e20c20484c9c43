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
/// Cost    6 rows · Σ codes · width flops, or digits times that where all codes compete
/// Source  RPG (arXiv 2506.05781), spec/baselines.md §8.1; the mean over label tokens of TIGER and
///         LC-Rec, §7
struct DigitCrossEntropy {
  using In = flow::DigitScores;
  using Out = double;
  struct Config {
    Index tile_bytes = 16 << 20;  // of the scores that are kept between two visits of the keys

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"tile_bytes", 1 << 12, 1 << 30, "bytes of one tile of scores"}, c.tile_bytes);
    }
  };

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    return scores.cross_entropy(ctx, batch.targets, weight / static_cast<T>(scores.digits()),
                                c.tile_bytes);
  }
};

}  // namespace simgr::SIMGR_ABI
