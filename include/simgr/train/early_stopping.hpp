// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

#include <simgr/core/fields.hpp>

namespace simgr::SIMGR_ABI::train {

/// When training has stopped improving.
struct EarlyStoppingConfig {
  Index patience = 10;   // evaluations without improvement before training ends; 0 = never
  double min_delta = 0;  // what an improvement must exceed

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"patience", 0, 1e9, "evaluations without improvement before the end; 0 never ends"},
      c.patience);
    f(Field{"min_delta", 0, 1, "what an improvement must exceed"}, c.min_delta);
  }
};

/// What a checkpoint keeps of early stopping.
struct EarlyStoppingState {
  Index best_epoch = 0;  // 0: none yet
  double best = -std::numeric_limits<double>::infinity();
  Index waited = 0;  // evaluations since the best
};

/// Follows a validation metric (larger is better) and says when it has stopped improving.
///
/// The first value counts as an improvement; NaN never does. The state is three numbers, so that a
/// resumed run stops where the uninterrupted one does.
class EarlyStopping {
public:
  using State = EarlyStoppingState;

  explicit EarlyStopping(const EarlyStoppingConfig& config = {}, const State& state = {}) noexcept
      : config_(config), state_(state) {}

  /// Takes the metric of an epoch, counted from 1. True: the best so far, keep these weights.
  bool improves(Index epoch, double metric) noexcept {
    const bool first = state_.best_epoch == 0 && metric == metric;
    if (first || metric > state_.best + config_.min_delta) {
      state_ = {epoch, metric, 0};
      return true;
    }
    ++state_.waited;
    return false;
  }
  bool finished() const noexcept {
    return config_.patience > 0 && state_.waited >= config_.patience;
  }
  const State& state() const noexcept { return state_; }

private:
  EarlyStoppingConfig config_;
  State state_;
};

}  // namespace simgr::SIMGR_ABI::train
