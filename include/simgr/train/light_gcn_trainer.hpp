// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/rng.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/train/clip.hpp>
#include <simgr/train/light_gcn.hpp>
#include <simgr/train/training_run.hpp>

namespace simgr::SIMGR_ABI::train {

/// Trains a LightGcn, step by step, and can be stopped and resumed between any two steps: an epoch has
/// each pair of a user and an item taken once, against an item drawn from those that the user did not
/// take. The same bits for any number of threads. Model and split must outlive the trainer.
class LightGcnTrainer : public TrainingRun {
public:
  /// The model's rows are drawn anew, of the users of the split.
  ///
  /// Errors  DataError: a split of another number of items, or without a pair;
  ///         ConfigError: impossible options, or per_user, sub_sequences, accumulate,
  ///         moving_average, precision or matmul
  LightGcnTrainer(LightGcn& model, const data::Split& split, const FitOptions& options)
      : TrainingRun(split, options, begun(model, split, options)), model_(model),
        gradient_(static_cast<std::size_t>(model.table().block_size), 0.0f) {}

  Index steps_per_epoch() const noexcept {
    const auto pairs = static_cast<Index>(model_.graph().users.columns.size());
    return (pairs + options_.batch - 1) / options_.batch;
  }

  /// As Trainer::step.
  ///
  /// Errors  DivergenceError: a loss or gradient that is not finite; the rows are as before the step
  template <class Observer, class X>
  bool step(Observer& observer, X&& executor) {
    if (finished()) {
      return false;
    }
    if (!epoch_begun_) {
      draw_epoch();
      epoch_begun_ = true;
    }
    const auto start = Clock::now();
    const auto first = static_cast<std::size_t>(progress_.step * options_.batch);
    const auto some = std::span<const Preference>(pairs_).subspan(
        first, std::min(static_cast<std::size_t>(options_.batch), pairs_.size() - first));
    arena_.reset();
    const double loss = graph_bpr<float>(executor, model_.graph(), model_.config().layers,
                                         model_.config().regularisation, model_.rows(), some,
                                         model_.bind_nodes(gradient_.data()), arena_);
    const double norm = global_norm(std::span<const float>(gradient_));
    if (!std::isfinite(loss) || !std::isfinite(norm)) {
      std::fill(gradient_.begin(), gradient_.end(), 0.0f);
      SIMGR_THROW(DivergenceError(
          "training stopped in epoch " + std::to_string(progress_.epoch + 1) + ", step " +
          std::to_string(progress_.step + 1) + ": the loss or its gradient is not finite"));
    }
    const double rate = rate_of_step(steps_per_epoch());
    optimizer_.step(model_.table(), model_.weights(), gradient_, rate,
                    clip_factor(norm, options_.clip));
    std::fill(gradient_.begin(), gradient_.end(), 0.0f);
    progress_.loss += loss * static_cast<double>(some.size());
    progress_.rows += static_cast<Index>(some.size());
    progress_.tokens = progress_.rows;
    ++progress_.batches;
    return count_step(observer, steps_per_epoch(), start, rate, norm, [&](EpochReport& report) {
      if (due()) {
        model_.refresh();
        validated(
            report,
            eval::evaluate_model(model_, split_.validation, validation(), executor).at(10).all.ndcg,
            std::as_const(model_).weights());
      }
    });
  }

  /// Leaves the model with its best rows (or its last, where nothing was evaluated), ready to serve.
  FitResult finish() {
    std::copy(best_.begin(), best_.end(), model_.weights().begin());
    model_.refresh();
    return result();
  }

  LightGcn& model() noexcept { return model_; }

private:
  static Index begun(LightGcn& model, const data::Split& split, const FitOptions& options) {
    checked(options);
    if (options.per_user != 0 || options.sub_sequences || options.accumulate != 1 ||
        options.moving_average != 0 || options.precision != Precision::fp32 ||
        options.matmul != MatMul::fp32) {
      SIMGR_THROW(ConfigError(
          "per_user, sub_sequences, accumulate, moving_average, precision and matmul: LightGCN has "
          "none of them"));
    }
    model.begin(split, options.seed);
    return model.table().trained_size;
  }
  /// The pairs of an epoch, in its order.
  void draw_epoch() {
    pairs_.clear();
    for (Index user = 0; user < model_.users(); ++user) {
      for (const std::int32_t item : model_.graph().users.columns_of(user)) {
        pairs_.push_back({static_cast<std::int32_t>(user), item, 0});
      }
    }
    Rng rng(options_.seed, 1 + static_cast<std::uint64_t>(progress_.epoch));
    rng.shuffle(std::span(pairs_));
    for (Preference& pair : pairs_) { pair.other = draw_other(pair.user, rng); }
  }
  /// One of the items that a user did not take; of all, where a hundred draws find none.
  std::int32_t draw_other(std::int32_t user, Rng& rng) const {
    const auto taken = model_.graph().users.columns_of(user);
    std::int32_t item = 0;
    for (int tries = 0; tries < 100; ++tries) {
      item = static_cast<std::int32_t>(rng.below(model_.items()));
      if (!std::binary_search(taken.begin(), taken.end(), item)) {
        break;
      }
    }
    return item;
  }

  LightGcn& model_;
  std::vector<float> gradient_;
  std::vector<Preference> pairs_;
  Arena arena_;
};

template <class Observer, class X>
FitResult LightGcn::fit(const data::Split& split, const FitOptions& options, Observer&& observer,
                        X&& executor) {
  LightGcnTrainer trainer(*this, split, options);
  while (trainer.step(observer, executor)) {}
  return trainer.finish();
}

}  // namespace simgr::SIMGR_ABI::train
