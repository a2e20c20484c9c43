// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/train/search_space.hpp>

namespace simgr::SIMGR_ABI::train {

/// How a search shares out its epochs.
struct HalvingOptions {
  Index epochs = 20;         // of a whole training
  Index evaluate_every = 1;  // epochs between validations
  Index rungs = 3;           // times that trials are compared, whole trainings included; 1: random
  Index factor = 3;          // of so many trials one goes on
  Index trials = 0;          // configurations that are tried; 0: as many as the budget allows
  double budget = 0;         // seconds of training and validation; 0: as many as the trials take

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"epochs", 1, 1e6, "of a whole training"}, c.epochs);
    f(Field{"evaluate_every", 1, 1e6, "epochs between validations"}, c.evaluate_every);
    f(Field{"rungs", 1, 8, "times that trials are compared; 1: all are trained whole"}, c.rungs);
    f(Field{"factor", 2, 8, "of so many trials one goes on"}, c.factor);
    f(Field{"trials", 0, 1e6, "configurations that are tried; 0: what the budget allows"},
      c.trials);
    f(Field{"budget", 0, 1e9, "seconds of training and validation; 0: what the trials take"},
      c.budget);
  }
};

/// The first broken rule, or empty.
inline std::string check(const HalvingOptions& options) {
  const std::string sentence = out_of_range(options);
  return !sentence.empty() || options.trials > 0 || options.budget > 0
             ? sentence
             : "a search needs an end: a number of trials, a budget, or both";
}

/// What became of one configuration.
struct Trial {
  Configuration settings;
  std::vector<std::optional<double>> validation;  // NDCG@10 of each epoch, where there is one
  double seconds = 0;
  bool ended = false;   // it will not be trained further: whole, stopped improving, or failed
  std::string failure;  // why it could not be trained; empty: it could

  Index epochs() const noexcept { return std::ssize(validation); }
  /// The best of the first `epochs` epochs.
  std::optional<double> best(Index epochs) const noexcept {
    std::optional<double> best;
    for (Index i = 0; i < std::min(epochs, this->epochs()); ++i) {
      const auto& value = validation[static_cast<std::size_t>(i)];
      best = value && (!best || *value > *best) ? value : best;
    }
    return best;
  }
  std::optional<double> best() const noexcept { return best(epochs()); }
};

/// Decides which trial is trained next, and how far: successive halving in brackets. A bracket of
/// factor^(rungs - 1) configurations is trained for the epochs of the first rung, the best of each
/// `factor` go on to the next, and the last rung is a whole training. All trainings are paused and
/// gone on with, under the schedule of a whole one. With one rung it is random search.
///
/// The budget is time that was spent, as it was told, and no clock: so decisions are a function of
/// what was told, and a search that is told the same again decides the same. New trials end when
/// what is left is what the best one needs to become whole, or when twenty in a row could not be
/// trained.
///
/// Ties go to the earlier trial. The best is by validation alone.
///
/// Source  Jamieson & Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
///         Optimization", AISTATS 2016; brackets: Li et al., "Hyperband", JMLR 2018, of which these
///         are all of one shape
class SuccessiveHalving {
public:
  /// @param options  that check() passes
  explicit SuccessiveHalving(const HalvingOptions& options) : options_(options) {
    Index divisor = 1;
    for (Index r = 1; r < options.rungs; ++r) { divisor *= options.factor; }
    for (; divisor >= 1; divisor /= options.factor) {
      Index epochs = (options.epochs + divisor - 1) / divisor;
      epochs += (options.evaluate_every - epochs % options.evaluate_every) % options.evaluate_every;
      epochs = std::min(epochs, options.epochs);
      if (rungs_.empty() || rungs_.back() < epochs) {
        rungs_.push_back(epochs);
      }
    }
    for (std::size_t r = 1; r < rungs_.size(); ++r) { bracket_ *= options.factor; }
  }

  const HalvingOptions& options() const noexcept { return options_; }
  std::span<const Trial> trials() const noexcept { return trials_; }
  std::span<const Index> rungs() const noexcept { return rungs_; }  // epochs of each
  double spent() const noexcept { return spent_; }
  Index epochs() const noexcept {
    return std::accumulate(trials_.begin(), trials_.end(), Index{0},
                           [](Index sum, const Trial& trial) { return sum + trial.epochs(); });
  }

  // What it is told.
  void begin(Configuration settings) { trials_.push_back({std::move(settings), {}, 0, false, {}}); }
  void epoch(Index trial, std::optional<double> validation, double seconds) {
    Trial& one = trials_[static_cast<std::size_t>(trial)];
    one.validation.push_back(validation);
    one.seconds += seconds;
    one.ended = one.epochs() >= options_.epochs;
    spent_ += seconds;
    failed_in_a_row_ = 0;
    const auto best = this->best();
    const double reserved = best ? to_be_whole(trials_[static_cast<std::size_t>(*best)]) : 0;
    explored_ = explored_ || (options_.budget > 0 && spent_ + reserved >= options_.budget);
  }
  void end(Index trial) { trials_[static_cast<std::size_t>(trial)].ended = true; }
  void fail(Index trial, std::string sentence) {
    end(trial);
    trials_[static_cast<std::size_t>(trial)].failure = std::move(sentence);
    explored_ = explored_ || ++failed_in_a_row_ >= hopeless;
  }
  /// There are no more configurations than those that have begun.
  void use_up() noexcept { options_.trials = std::ssize(trials_); }

  /// A trial, and the epochs it is to have; a trial that has not begun is the next one to begin.
  struct Turn {
    Index trial = 0, until = 0;
    bool operator==(const Turn&) const = default;
  };
  /// Nothing: the search is over.
  std::optional<Turn> next() const {
    if (options_.budget > 0 && spent_ >= options_.budget) {
      return std::nullopt;
    }
    if (const auto turn = explored_ ? std::nullopt : walk().turn) {
      return turn;
    }
    const auto best = this->best();
    return best && !trials_[static_cast<std::size_t>(*best)].ended
               ? std::optional<Turn>({*best, options_.epochs})
               : std::nullopt;
  }
  /// Whether a trial that has begun may have a turn again, or is the best; what others keep on disk
  /// may go.
  bool alive(Index trial) const {
    if (!trials_[static_cast<std::size_t>(trial)].failure.empty()) {
      return false;
    }
    const std::vector<Index> contenders = walk().contenders;
    return best() == trial ||
           std::find(contenders.begin(), contenders.end(), trial) != contenders.end();
  }
  std::optional<Index> best() const { return first_of(ranked(everybody(), options_.epochs)); }

  /// Epochs that so many trials take; those of failed ones and of early ends are in it.
  Index planned_epochs() const {
    Index epochs = 0;
    for (Index begun = 0; begun < options_.trials; begun += bracket_) {
      Index left = std::min(bracket_, options_.trials - begun), before = 0;
      for (const Index rung : rungs_) {
        epochs += left * (rung - std::exchange(before, rung));
        left = promoted(left);
      }
    }
    return epochs;
  }

private:
  struct Walk {
    std::optional<Turn> turn;
    std::vector<Index> contenders;  // of the rung of that turn
  };

  /// Through all brackets and rungs, to the first trial that is not where it should be.
  Walk walk() const {
    for (Index first = 0; options_.trials == 0 || first < options_.trials; first += bracket_) {
      const Index size =
          options_.trials == 0 ? bracket_ : std::min(bracket_, options_.trials - first);
      std::vector<Index> contenders(static_cast<std::size_t>(size));
      std::iota(contenders.begin(), contenders.end(), first);
      for (const Index rung : rungs_) {
        for (const Index trial : contenders) {
          if (trial >= std::ssize(trials_)) {
            return {Turn{std::ssize(trials_), rungs_.front()}, std::move(contenders)};
          }
          const Trial& one = trials_[static_cast<std::size_t>(trial)];
          if (!one.ended && one.epochs() < rung) {
            return {Turn{trial, rung}, std::move(contenders)};
          }
        }
        const Index places = promoted(std::ssize(contenders));
        contenders = ranked(std::move(contenders), rung);
        contenders.resize(std::min(contenders.size(), static_cast<std::size_t>(places)));
      }
    }
    return {};
  }
  Index promoted(Index trials) const noexcept {
    return (trials + options_.factor - 1) / options_.factor;
  }
  /// Those of the trials that have a validation in these epochs and did not fail, the best first.
  std::vector<Index> ranked(std::vector<Index> trials, Index epochs) const {
    const auto value = [&](Index trial) {
      const Trial& one = trials_[static_cast<std::size_t>(trial)];
      return one.failure.empty() ? one.best(epochs) : std::nullopt;
    };
    std::erase_if(trials, [&](Index trial) { return !value(trial); });
    std::sort(trials.begin(), trials.end(), [&](Index a, Index b) {
      return *value(a) > *value(b) || (*value(a) == *value(b) && a < b);
    });
    return trials;
  }
  static std::optional<Index> first_of(const std::vector<Index>& trials) {
    return trials.empty() ? std::nullopt : std::optional(trials.front());
  }
  std::vector<Index> everybody() const {
    std::vector<Index> all(trials_.size());
    std::iota(all.begin(), all.end(), Index{0});
    return all;
  }
  /// Seconds that a trial needs to become whole, by what it took so far.
  double to_be_whole(const Trial& trial) const noexcept {
    return trial.ended || trial.epochs() == 0
               ? 0
               : trial.seconds / static_cast<double>(trial.epochs()) *
                     static_cast<double>(options_.epochs - trial.epochs());
  }

  /// What cannot be trained takes no time, so no budget ends it.
  static constexpr Index hopeless = 20;

  HalvingOptions options_;
  std::vector<Index> rungs_;
  Index bracket_ = 1;
  std::vector<Trial> trials_;
  double spent_ = 0;
  Index failed_in_a_row_ = 0;
  bool explored_ = false;
};

}  // namespace simgr::SIMGR_ABI::train
