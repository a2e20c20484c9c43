// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <simgr/data/batcher.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/loss/negatives.hpp>
#include <simgr/recommender.hpp>
#include <simgr/train/clip.hpp>
#include <simgr/train/tasks.hpp>
#include <simgr/train/training_run.hpp>

namespace simgr::SIMGR_ABI::train {

/// Trains one model, step by step, and can be stopped and resumed between any two steps.
///
/// A batch is cut into a fixed number of shards, each with its own arena and gradient block, which
/// are summed in a fixed tree: the same bits for any number of threads. Model and split must
/// outlive the trainer.
///
/// Cost  memory of one gradient block and one arena a shard, the moments, masters where the precision
///       is mixed, and a copy of the best weights: of the trained weights alone
template <class Model>
class Trainer : public TrainingRun {
public:
  using Parts = typename Model::Parts;

  /// Errors  ConfigError: impossible options;  DataError: a split that does not fit the model or
  ///         has no example
  Trainer(Model& model, const data::Split& split, const FitOptions& options)
      : TrainingRun(split, options, model.table().trained_size), model_(model),
        batcher_(split.train, Model::PoolerType::examples, model.config().encoder.max_length,
                 options.seed, {options.per_user, options.sub_sequences},
                 hiding(model.config().pooler), static_cast<ItemId>(model.items())) {
    if (split.items != model.items()) {
      SIMGR_THROW(DataError("split: expected " + std::to_string(model.items()) + " items, found " +
                            std::to_string(split.items)));
    }
    if (batcher_.examples() == 0) {
      SIMGR_THROW(DataError("split.train: no user has two items to learn from"));
    }
    const Index size = model.table().trained_size;
    shards_.resize(static_cast<std::size_t>(options.shards));
    for (Shard& shard : shards_) {
      shard.memory = Arena(static_cast<std::size_t>(size) * sizeof(float) + Arena::alignment);
      shard.gradient = shard.memory.template take<float, 1>({size});
      std::fill(shard.gradient.begin(), shard.gradient.end(), 0.0f);
      shard.grads = bind_trained<Parts>(model.config(), shard.gradient.data());
    }
    count_popularity();
    if (options.precision == Precision::mixed) {
      optimizer_.keep_masters(trained_weights());
    }
    if constexpr (has_tasks) {
      tasks_.emplace(model, split.train, options);
    }
  }

  Index steps_per_epoch() const noexcept {
    const Index per_step = options_.batch * options_.accumulate;
    return (batcher_.examples() + per_step - 1) / per_step;
  }
  Index total_steps() const noexcept { return steps_per_epoch() * options_.epochs; }

  /// One optimiser step; ends the epoch (evaluation included) when it was the last of it.
  ///
  /// @return  false when training has ended, or the observer asked for it
  ///
  /// Errors  DivergenceError with the tensor's name; the weights are as before the step
  template <class Observer, class X>
  bool step(Observer& observer, X&& executor) {
    if (finished()) {
      return false;
    }
    if (progress_.step == 0 || !epoch_begun_) {
      batcher_.begin_epoch(progress_.epoch);
      if constexpr (has_tasks) {
        tasks_->begin_epoch(progress_.epoch);
      }
      epoch_begun_ = true;
    }
    const auto start = std::chrono::steady_clock::now();
    const Index first = progress_.step * options_.batch * options_.accumulate;
    const Index last = std::min(batcher_.examples(), first + options_.batch * options_.accumulate);
    Index batches = 0;
    for (Index begin = first; begin < last; begin += options_.batch, ++batches) {
      accumulate(begin, std::min(options_.batch, last - begin), executor);
    }
    const double rate = rate_of_step(steps_per_epoch());
    const std::span<float> gradient = shards_.front().gradient.span();
    const double share = 1.0 / static_cast<double>(batches);
    const double norm = share * global_norm(std::span<const float>(gradient));
    refuse_not_finite(norm);
    optimizer_.step(model_.table(), trained_weights(), gradient, rate,
                    share * clip_factor(norm, options_.clip));
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    if (average_) {
      average_->update(trained_weights());
    }
    return count_step(observer, steps_per_epoch(), start, rate, norm,
                      [&](EpochReport& report) { end_epoch(report, executor); });
  }

  /// Leaves the model with its best weights (or its last, where nothing was evaluated), ready to
  /// serve.
  FitResult finish() {
    if (!best_.empty()) {
      std::copy(best_.begin(), best_.end(), model_.weights().begin());
    } else if (average_ && average_->updates() > 0) {
      const std::span<const float> average = std::as_const(*average_).average();
      std::copy(average.begin(), average.end(), model_.weights().begin());
    }
    model_.refresh();
    return result();
  }

  /// Stale keys of encoded candidates, which a state holds, too.
  OwnedMatrix<float>& bank() noexcept { return bank_; }
  Model& model() noexcept { return model_; }

private:
  struct Shard {
    Arena memory, arena;
    Vector<float> gradient;
    typename Parts::template Params<float> grads;
    typename Parts::template Cache<float> cache;
    typename Parts::template SharedGradient<float> shared;
    data::Batch batch;
    [[no_unique_address]] typename TasksFor<Model>::Batch examples;  // of other tasks
    [[no_unique_address]] typename TasksFor<Model>::Cache tasks;
    double loss = 0;
  };
  static constexpr bool has_tasks = !std::is_same_v<TasksFor<Model>, NoTasks>;

  std::span<float> trained_weights() noexcept {
    return model_.weights().first(static_cast<std::size_t>(model_.table().trained_size));
  }

  /// What a pooler hides of its examples.
  template <class PoolerConfig>
  static Hiding hiding(const PoolerConfig& config) {
    if constexpr (requires { config.hiding; }) {
      return config.hiding;
    } else {
      return {};
    }
  }

  void count_popularity() {
    data::require_known_items(split_.train, model_.items());
    std::vector<Index> counts = data::popularity(split_.train, model_.items());
    // An item that is never a target still needs a finite share: one half of an interaction.
    const double total =
        static_cast<double>(split_.train.tokens()) + 0.5 * static_cast<double>(model_.items());
    double sum = 0;
    for (const Index count : counts) {
      const double share = (static_cast<double>(count) + 0.5) / total;
      log_popularity_.push_back(std::log(share));
      cumulative_.push_back(sum += share);
    }
    model_.set_popularity(std::move(counts));
  }

  /// Adds the gradients of one batch to the first shard's block.
  template <class X>
  void accumulate(Index begin, Index count, X&& executor) {
    const auto shards = static_cast<Index>(shards_.size());
    Index rows = 0, tokens = 0, answers = 0;  // answers: tokens that other tasks predict
    for (Index s = 0; s < shards; ++s) {
      Shard& shard = shards_[static_cast<std::size_t>(s)];
      const Index from = count * s / shards, to = count * (s + 1) / shards;
      batcher_.fill(begin + from, to - from, shard.batch);
      rows += static_cast<Index>(shard.batch.targets.size());
      tokens += shard.batch.history.tokens();
      shard.arena.reset();
      if constexpr (has_tasks) {
        cpu::Context shard_ctx = context(s, shard.arena);
        answers +=
            tasks_->fill(begin + from, begin + to, batcher_.examples(), shard.examples, shard_ctx);
      }
    }
    shared_arena_.reset();
    cpu::Context ctx = context(0, shared_arena_);
    refresh_bank();
    Parts::prepare(model_.config(), model_.params(), model_.items_view(),
                   std::as_const(bank_).view(), shared_, ctx);
    const Index per_row = Parts::scores_digits ? model_.config().encoder.catalogue.digits : 1;
    const auto predicted = static_cast<double>(rows * per_row + answers);
    const auto weight = static_cast<float>(static_cast<double>(per_row) / predicted);
    executor.for_each(shards, [&](Index s) {
      Shard& shard = shards_[static_cast<std::size_t>(s)];
      cpu::Context shard_ctx = context(s, shard.arena);
      if (s > 0) {
        std::fill(shard.gradient.begin(), shard.gradient.end(), 0.0f);
      }
      shard.shared = Parts::shared_gradient(model_.config(), shard.grads, shard_ctx);
      shard.loss = 0;
      const LossBatch batch{shard.batch.targets, shard.batch.history, shard.batch.rows,
                            log_popularity_, cumulative_};
      if (!batch.targets.empty()) {
        shard.loss =
            Parts::shard(model_.config(), model_.params(), shard.grads, shared_, shard.shared,
                         model_.items_view(), batch, weight, shard.cache, shard_ctx);
      }
      if constexpr (has_tasks) {
        shard.loss += tasks_->add(shard.grads, shared_, shard.shared, batch, shard.examples,
                                  1 / predicted, shard.tasks, shard_ctx);
      }
    });
    reduce(executor);
    const double own = Parts::finish(model_.config(), model_.params(), shards_.front().grads,
                                     shared_, shards_.front().shared, model_.items_view(), ctx);
    progress_.loss += own * static_cast<double>(rows);
    for (const Shard& shard : shards_) { progress_.loss += shard.loss * static_cast<double>(rows); }
    progress_.rows += rows;
    progress_.tokens += tokens;
    ++progress_.batches;
  }

  /// Sums gradients into the first shard, in pairs: 0+1, 2+3, then 0+2 … whatever runs them.
  template <class X>
  void reduce(X&& executor) {
    const auto shards = static_cast<Index>(shards_.size());
    constexpr Index parts = 16;
    const auto add = [](Vector<float> from, Vector<float> to, Index part) {
      const Index begin = to.size() * part / parts, end = to.size() * (part + 1) / parts;
      for (Index i = begin; i < end; ++i) { to.data()[i] += from.data()[i]; }
    };
    const auto flat = [](Matrix<float> matrix) {
      return Vector<float>(matrix.data(), {matrix.size()});
    };
    for (Index stride = 1; stride < shards; stride *= 2) {
      executor.for_each(parts, [&](Index part) {
        for (Index s = 0; s + stride < shards; s += 2 * stride) {
          Shard& into = shards_[static_cast<std::size_t>(s)];
          const Shard& from = shards_[static_cast<std::size_t>(s + stride)];
          add(from.gradient, into.gradient, part);
          // Buffers of their own; tied ones lie in the gradient block or are one another.
          const auto own = [&](Matrix<float> matrix) {
            return matrix.data() != nullptr &&
                   (matrix.data() < into.gradient.begin() || matrix.data() >= into.gradient.end());
          };
          if (own(into.shared.rows)) {
            add(flat(from.shared.rows), flat(into.shared.rows), part);
          }
          if (own(into.shared.vectors) && into.shared.vectors.data() != into.shared.rows.data()) {
            add(flat(from.shared.vectors), flat(into.shared.vectors), part);
          }
          if (own(into.shared.keys) && into.shared.keys.data() != into.shared.vectors.data()) {
            add(flat(from.shared.keys), flat(into.shared.keys), part);
          }
        }
      });
    }
  }

  cpu::Context context(Index shard, Arena& arena) const {
    return {.arena = arena,
            .training = true,
            .seed = options_.seed,
            .step = static_cast<std::uint64_t>(progress_.batches),
            .stream = static_cast<std::uint32_t>(shard) << 16,
            .matmul = options_.matmul};
  }

  /// Keys of the whole catalogue where candidates are encoded items, anew every `refresh` batches.
  void refresh_bank() {
    if constexpr (Parts::encodes_items) {
      if (model_.config().candidates.refresh == 0) {
        return;
      }
      if (progress_.batches % model_.config().candidates.refresh == 0 || bank_.empty()) {
        model_.refresh_scores();
        bank_ = OwnedMatrix<float>(model_.items(), model_.query_width());
        std::copy(model_.keys().begin(), model_.keys().end(), bank_.values.begin());
      }
    }
  }

  template <class X>
  void end_epoch(EpochReport& report, X&& executor) {
    if (!due()) {
      return;
    }
    if (average_) {
      average_->exchange(trained_weights());
    }
    const std::span<const float> trained = trained_weights();
    if (!std::all_of(trained.begin(), trained.end(), [](float w) { return std::isfinite(w); })) {
      SIMGR_THROW(DivergenceError("training stopped behind epoch " +
                                  std::to_string(progress_.epoch) + ": a weight is not finite"));
    }
    model_.refresh_scores();
    validated(report, validate(executor), trained_weights());
    if (average_) {
      average_->exchange(trained_weights());
    }
  }

  /// By scores, which other lists approximate; where scoring all items takes long, by lists.
  template <class X>
  double validate(X& executor) const {
    const eval::EvaluateOptions how = validation();
    if constexpr (Model::autoregressive) {
      return eval::evaluate_model(model_, split_.validation, how, executor).at(10).all.ndcg;
    } else {
      return eval::evaluate_scores(model_, split_.validation, how, executor).at(10).all.ndcg;
    }
  }

  void refuse_not_finite(double norm) {
    if (std::isfinite(norm) && std::isfinite(progress_.loss)) {
      return;
    }
    const std::span<float> gradient = shards_.front().gradient.span();
    std::string tensor = "the loss";
    if (const auto found = find_not_finite(model_.table(), std::span<const float>(gradient))) {
      tensor = "the gradient of " + found->sentence();
    }
    if (const auto found =
            find_not_finite(model_.table(), std::span<const float>(model_.weights()))) {
      tensor = found->sentence();
    }
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    SIMGR_THROW(DivergenceError("training stopped in epoch " + std::to_string(progress_.epoch + 1) +
                                ", step " + std::to_string(progress_.step + 1) + ": " + tensor +
                                "; the weights are those before this step"));
  }

  Model& model_;
  data::Batcher batcher_;
  std::optional<TasksFor<Model>> tasks_;
  std::vector<double> log_popularity_, cumulative_;
  Arena shared_arena_;
  typename Parts::template Shared<float> shared_;
  OwnedMatrix<float> bank_;  // stale keys; encoded candidates only
  std::vector<Shard> shards_;
};

/// What Recommender::fit calls.
template <class Model>
struct Fitting {
  template <class Observer, class X>
  static FitResult fit(Model& model, const data::Split& split, const FitOptions& options,
                       Observer& observer, X&& executor) {
    Trainer<Model> trainer(model, split, options);
    while (trainer.step(observer, executor)) {}
    return trainer.finish();
  }
};

}  // namespace simgr::SIMGR_ABI::train
