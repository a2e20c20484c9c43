// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/evaluator.hpp>
#include <simgr/train/early_stopping.hpp>
#include <simgr/train/fit_options.hpp>
#include <simgr/train/moving_average.hpp>
#include <simgr/train/optimizer.hpp>
#include <simgr/train/report.hpp>
#include <simgr/train/schedule.hpp>

namespace simgr::SIMGR_ABI::train {

/// A loss or a gradient is not finite: more often the settings' fault than the data's.
struct DivergenceError : DataError {
  using DataError::DataError;
};

/// What a training by steps knows of itself besides the model: where it stands, what its optimiser
/// remembers, and the best weights. Trainers are built on it, and train/training_state.hpp writes it
/// down.
class TrainingRun {
public:
  /// Where it stands, apart from the blocks: a handful of numbers.
  struct Progress {
    Index epoch = 0, step = 0;     // epochs ended; steps of the running one
    Index batches = 0;             // of all epochs: the key of every random mask
    Index rows = 0, tokens = 0;    // of the running epoch
    double loss = 0, seconds = 0;  // of the running epoch
    double all_seconds = 0;        // of all epochs ended
  };

  const FitOptions& options() const noexcept { return options_; }
  const data::Split& split() const noexcept { return split_; }
  Index epoch() const noexcept { return progress_.epoch; }
  bool finished() const noexcept {
    return progress_.epoch >= options_.epochs || stopping_.finished();
  }

  // What a resumable state holds, besides the weights.
  Progress& progress() noexcept { return progress_; }
  OptimizerState<float>& optimizer() noexcept { return optimizer_; }
  EarlyStopping& stopping() noexcept { return stopping_; }
  std::optional<MovingAverage<float>>& average() noexcept { return average_; }
  std::vector<float>& best_weights() noexcept { return best_; }

protected:
  using Clock = std::chrono::steady_clock;

  /// Errors  ConfigError: impossible options
  TrainingRun(const data::Split& split, const FitOptions& options, Index trained_size)
      : split_(split), options_(checked(options)), optimizer_(options.optimizer, trained_size),
        stopping_({options.patience, 0.0}) {
    if (options.moving_average > 0) {
      average_.emplace(options.moving_average, trained_size);
    }
  }

  static const FitOptions& checked(const FitOptions& options) {
    if (const std::string sentence = check(options); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    return options;
  }

  /// The learning rate of the step that is due.
  double rate_of_step(Index steps_per_epoch) const {
    return options_.optimizer.rate *
           rate_multiplier(options_.schedule, progress_.epoch * steps_per_epoch + progress_.step,
                           options_.epochs * steps_per_epoch);
  }

  /// Counts a step that was taken and tells the observer; where it was the last of an epoch, so the
  /// epoch, of which `end_epoch` makes the rest of the report.   -> whether to go on
  template <class Observer, class EndEpoch>
  bool count_step(Observer& observer, Index steps_per_epoch, Clock::time_point start, double rate,
                  double norm, EndEpoch&& end_epoch) {
    progress_.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    ++progress_.step;
    const double loss = progress_.loss / static_cast<double>(std::max<Index>(1, progress_.rows));
    const double speed = static_cast<double>(progress_.tokens) / std::max(progress_.seconds, 1e-9);
    bool go_on =
        observe(observer, StepReport{progress_.epoch + 1, options_.epochs, progress_.step,
                                     steps_per_epoch, loss, progress_.seconds, speed, rate, norm});
    if (progress_.step == steps_per_epoch) {
      EpochReport report{progress_.epoch + 1,
                         options_.epochs,
                         loss,
                         progress_.seconds,
                         speed,
                         {},
                         rate,
                         norm,
                         false};
      ++progress_.epoch;
      progress_.all_seconds += progress_.seconds;
      progress_.step = progress_.rows = progress_.tokens = 0;
      progress_.loss = progress_.seconds = 0;
      epoch_begun_ = false;
      end_epoch(report);
      go_on = observe(observer, report) && go_on;
    }
    return go_on && !finished();
  }
  /// Whether the epoch that has just ended is validated.
  bool due() const noexcept {
    return options_.evaluate_every > 0 && !split_.validation.targets.empty() &&
           (progress_.epoch % options_.evaluate_every == 0 || progress_.epoch == options_.epochs);
  }
  eval::EvaluateOptions validation() const {
    return {.seen = options_.seen, .cutoffs = {10}, .shards = options_.shards};
  }
  void validated(EpochReport& report, double ndcg, std::span<const float> weights) {
    report.validation_ndcg10 = ndcg;
    report.best = stopping_.improves(progress_.epoch, ndcg);
    if (report.best) {
      best_.assign(weights.begin(), weights.end());
    }
  }
  FitResult result() const {
    const EarlyStoppingState& state = stopping_.state();
    return {progress_.epoch, state.best_epoch,
            state.best_epoch > 0 ? std::optional<double>(state.best) : std::nullopt,
            progress_.all_seconds, options_.seen};
  }

  const data::Split& split_;
  FitOptions options_;
  OptimizerState<float> optimizer_;
  EarlyStopping stopping_;
  std::optional<MovingAverage<float>> average_;
  std::vector<float> best_;
  Progress progress_;
  bool epoch_begun_ = false;
};

}  // namespace simgr::SIMGR_ABI::train
