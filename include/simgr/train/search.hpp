// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/train/report.hpp>
#include <simgr/train/search_journal.hpp>
#include <simgr/train/search_space.hpp>
#include <simgr/train/successive_halving.hpp>

namespace simgr::SIMGR_ABI::train {

/// One turn of a trial: train it with these settings until `until` epochs are done in all, from the
/// state that its last turn left, or from nothing where there is none.
struct SearchTurn {
  Index trial = 0, until = 0;
  const Configuration* settings = nullptr;
  bool fresh = false;  // it has not begun: what lies about of it is of another search
};
/// What came of a turn.
struct SearchTurnEnd {
  Index epochs = 0;     // that the trial has in all
  std::string failure;  // the settings do not work; the search goes on without this trial
};

/// A search for the settings with the best validation NDCG@10, which can be stopped at any moment.
///
/// Everything that happens is an event in the journal before it counts, and what happens next is a
/// function of those events. So a search that goes on from a journal ends as it would have ended:
/// the same trials, turns, winner, and, where a trainer has the same bits after a resumed run, the
/// same weights. Time that a killed process spent on an epoch it did not end is in no budget.
///
/// @tparam Clock  of wall time; tests bring their own
template <class Clock = std::chrono::steady_clock>
class Search {
public:
  /// Goes through the events of the journal.
  ///
  /// Errors  ConfigError: options that check() refuses. DataError: events of trials that did not
  ///         begin or have ended, or settings that seed and space do not give; with the line
  static Result<Search> try_begin(SearchSpace space, std::uint64_t seed,
                                  const HalvingOptions& options, SearchJournal journal) {
    if (const std::string sentence = check(options); !sentence.empty()) {
      return ConfigError(sentence);
    }
    Search search(std::move(space), seed, options, std::move(journal));
    std::int64_t line = 1;
    for (const SearchEvent& event : search.journal_.events()) {
      ++line;
      if (const std::string sentence = search.impossible(event); !sentence.empty()) {
        return DataError(sentence, {.file = search.journal_.path(), .line = line});
      }
      search.apply(event);
    }
    return search;
  }

  const SuccessiveHalving& halving() const noexcept { return halving_; }

  /// Trains until the search is over.
  ///
  /// @param train  SearchTurnEnd(const SearchTurn&, const std::function<bool(const EpochReport&)>&):
  ///               calls the function after each epoch, before it saves a state, and pauses the
  ///               trial where that returns false
  /// @param after  void(const SuccessiveHalving&), called after each turn
  ///
  /// Errors  those of the journal; DataError: a trainer that does not train as the journal says
  template <class Train, class After>
  Failure try_run(Train&& train, After&& after) {
    while (const auto turn = halving_.next()) {
      const bool fresh = turn->trial == std::ssize(halving_.trials());
      if (fresh) {
        auto drawn = space_.configuration(seed_, turn->trial, configurations_);
        if (!drawn) {
          halving_.use_up();
          continue;
        }
        SearchEvent begins;
        begins.trial = turn->trial;
        begins.settings = std::move(*drawn);
        if (Failure failure = happened(std::move(begins))) {
          return failure;
        }
      }
      if (Failure failure = take(*turn, fresh, train)) {
        return failure;
      }
      after(halving_);
    }
    return {};
  }

private:
  Search(SearchSpace space, std::uint64_t seed, const HalvingOptions& options,
         SearchJournal journal)
      : space_(std::move(space)), seed_(seed), halving_(options), journal_(std::move(journal)) {}

  template <class Train>
  Failure take(const SuccessiveHalving::Turn& turn, bool fresh, Train&& train) {
    const auto known = [&]() -> const Trial& {
      return halving_.trials()[static_cast<std::size_t>(turn.trial)];
    };
    Failure broken;
    auto last = Clock::now();
    const std::function<bool(const EpochReport&)> epoch = [&](const EpochReport& report) {
      const auto now = Clock::now();
      const double wall = std::chrono::duration<double>(now - std::exchange(last, now)).count();
      if (report.epoch <= known().epochs()) {  // the state was older than the journal
        broken = differs(turn.trial, report);
        return !broken && (report.epoch < known().epochs() || halving_.next() == turn);
      }
      SearchEvent event;
      event.kind = SearchEvent::Kind::epoch;
      event.trial = turn.trial;
      event.epoch = report.epoch;
      event.loss = report.loss;
      event.validation = report.validation_ndcg10;
      event.seconds = std::max(report.seconds, wall);  // an epoch may have begun before a kill
      if (report.epoch > known().epochs() + 1) {
        broken = gap(turn.trial, report.epoch - 1);
      } else {
        broken = happened(std::move(event));
      }
      return !broken && halving_.next() == turn;
    };
    const SearchTurnEnd end =
        train(SearchTurn{turn.trial, turn.until,
                         &configurations_[static_cast<std::size_t>(turn.trial)], fresh},
              epoch);
    if (broken) {
      return broken;
    }
    SearchEvent event;
    event.trial = turn.trial;
    if (!end.failure.empty()) {
      event.kind = SearchEvent::Kind::failed;
      event.sentence = end.failure;
      return happened(std::move(event));
    }
    if (end.epochs != known().epochs()) {
      return gap(turn.trial, end.epochs);
    }
    if (halving_.next() == turn) {  // it has had enough before its turn was over
      event.kind = SearchEvent::Kind::ended;
      event.sentence = "no improvement";
      return happened(std::move(event));
    }
    return {};
  }

  Failure differs(Index trial, const EpochReport& report) const {
    const auto& was = halving_.trials()[static_cast<std::size_t>(trial)]
                          .validation[static_cast<std::size_t>(report.epoch - 1)];
    return was == report.validation_ndcg10
               ? Failure{}
               : DataError("trial " + std::to_string(trial + 1) + ", epoch " +
                               std::to_string(report.epoch) + " had a validation NDCG@10 of " +
                               detail::log_text(was) + ", trained again it has " +
                               detail::log_text(report.validation_ndcg10) +
                               ": this program or this machine computes otherwise",
                           {.file = journal_.path()});
  }
  Failure gap(Index trial, Index epochs) const {
    return DataError(
        "the state of trial " + std::to_string(trial + 1) + " is of epoch " +
            std::to_string(epochs) + ", the journal ends with epoch " +
            std::to_string(halving_.trials()[static_cast<std::size_t>(trial)].epochs()) +
            "; without that state it is trained again",
        {.file = journal_.path()});
  }

  /// Writes an event down, then counts it.
  Failure happened(SearchEvent event) {
    if (Failure failure = journal_.try_append(event)) {
      return failure;
    }
    apply(event);
    return {};
  }
  void apply(const SearchEvent& event) {
    switch (event.kind) {
    case SearchEvent::Kind::begins:
      configurations_.push_back(event.settings);
      halving_.begin(event.settings);
      break;
    case SearchEvent::Kind::epoch:
      halving_.epoch(event.trial, event.validation, event.seconds);
      break;
    case SearchEvent::Kind::ended:
      halving_.end(event.trial);
      break;
    case SearchEvent::Kind::failed:
      halving_.fail(event.trial, event.sentence);
      break;
    }
  }
  /// Why a line of the journal cannot be, or empty.
  std::string impossible(const SearchEvent& event) const {
    const auto trials = halving_.trials();
    const std::string name = "trial " + std::to_string(event.trial + 1);
    if (event.kind == SearchEvent::Kind::begins) {
      if (event.trial != std::ssize(trials)) {
        return name + " begins behind trial " + std::to_string(trials.size());
      }
      const auto drawn = space_.configuration(seed_, event.trial, configurations_);
      return drawn == event.settings ? "" : name + " has settings that seed and space do not give";
    }
    if (event.trial >= std::ssize(trials)) {
      return name + " has not begun";
    }
    const Trial& trial = trials[static_cast<std::size_t>(event.trial)];
    if (trial.ended) {
      return name + " has ended before";
    }
    if (event.kind == SearchEvent::Kind::epoch && event.epoch != trial.epochs() + 1) {
      return name + ": expected epoch " + std::to_string(trial.epochs() + 1) + ", found " +
             std::to_string(event.epoch);
    }
    return {};
  }

  SearchSpace space_;
  std::uint64_t seed_;
  SuccessiveHalving halving_;
  SearchJournal journal_;
  std::vector<Configuration> configurations_;
};

}  // namespace simgr::SIMGR_ABI::train
