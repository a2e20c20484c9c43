// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/analysis/item_transitions.hpp>
#include <simgr/analysis/memgen.hpp>
#include <simgr/analysis/memorization.hpp>
#include <simgr/core/error.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/split.hpp>

namespace simgr::SIMGR_ABI::analysis {

/// What a study of memorization leaves open.
struct StudyOptions {
  CandidateOptions candidates{};
  Index k = 5;     // places of a list that are read
  Index hops = 4;  // distances in training, 1 to this
};

/// What one system does.
struct StudiedSystem {
  SystemMemorization found;        // by the candidates of one hop
  std::vector<double> ratio_at{};  // [hops] MemRatio@k, candidates within 1, 2 … hops in training
  MemGenCounts labels{};           // of the items in its first k places
};

/// Everything that the test users of a split say of memorization, ready for any number of systems:
///
///   analysis::MemorizationStudy study(split);
///   const auto mine = study.measure(eval::served_lists(model, split.test, 5));
///   const auto theirs = study.measure(data::read_rankings("theirs.tsv", interactions, split.test));
///   const auto gain = analysis::recall_gain(mine.found, theirs.found);   // in M, in N
///
/// Transitions are those of split.train; inputs are the histories of split.test, which hold the
/// validation item. The split must outlive the study.
///
/// Cost    a set of candidates a user and hop: candidates.most · 4 bytes each
/// Errors  ConfigError: an option out of range, before any work
class MemorizationStudy {
public:
  explicit MemorizationStudy(const data::Split& split, const StudyOptions& options = {})
      : split_(split), options_(checked(options)),
        memgen_(count_transitions(split.train, split.items, options.hops)) {
    for (Index hops = 1; hops <= options.hops; ++hops) {
      const auto transitions = count_transitions(split.train, split.items, hops);
      transitions_ = hops == 1 ? transitions.distinct() : transitions_;
      sets_.push_back(candidate_sets(transitions, split.test.histories, options.candidates));
    }
    covered_ = covered_targets(sets_.front(), split.test.targets);
    for (const char covered : covered_) { group_m_ += covered; }
    Ragged<ItemId> asked;
    for (const ItemId& target : split.test.targets) { asked.push_back({&target, 1}); }
    targets_ = count_labels(memgen_, split.test.histories, asked, 1);
  }

  const StudyOptions& options() const noexcept { return options_; }
  Index users() const noexcept { return static_cast<Index>(split_.test.targets.size()); }
  /// Distinct ordered pairs of neighbours in training.
  Index distinct_transitions() const noexcept { return transitions_; }
  /// C_u of each user, which is a system too: the frequency table of one hop.
  const Ragged<ItemId>& candidates() const noexcept { return sets_.front(); }
  std::span<const char> covered() const noexcept { return covered_; }
  Index group_m() const noexcept { return group_m_; }
  double mean_candidates() const noexcept {
    return static_cast<double>(candidates().tokens()) / static_cast<double>(users());
  }
  /// What the targets are to their inputs.
  const MemGenCounts& target_labels() const noexcept { return targets_; }
  /// The most popular items of training that a user has not met.
  Ragged<ItemId> popular() const {
    return popular_lists(data::popularity(split_.train, split_.items), split_.test.histories,
                         options_.k);
  }

  /// Errors  those of measure_memorization
  StudiedSystem measure(const Ragged<ItemId>& lists) {
    const auto& targets = split_.test.targets;
    StudiedSystem system;
    for (const Ragged<ItemId>& sets : sets_) {
      const auto found = measure_memorization(lists, targets, sets, covered_, options_.k);
      if (system.ratio_at.empty()) {
        system.found = found;
      }
      system.ratio_at.push_back(found.ratio);
    }
    system.labels = count_labels(memgen_, split_.test.histories, lists, options_.k);
    return system;
  }

private:
  static const StudyOptions& checked(const StudyOptions& options) {
    if (options.k < 1) {
      SIMGR_THROW(ConfigError("k: expected 1 or more places, found " + std::to_string(options.k)));
    }
    return options;
  }

  const data::Split& split_;
  StudyOptions options_;
  MemGen memgen_;
  Index transitions_ = 0, group_m_ = 0;
  std::vector<Ragged<ItemId>> sets_;  // [hops]
  std::vector<char> covered_;
  MemGenCounts targets_;
};

}  // namespace simgr::SIMGR_ABI::analysis
