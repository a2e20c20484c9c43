// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <simgr/analysis/item_transitions.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/eval/metrics.hpp>

// How much of what a recommender lists, and of what it is right about, training data said one hop from
// the user's input: candidate sets C_u, the groups M (the target is a candidate) and N (it is not), and
// what lists of any origin do in both.
//
//   transitions = count_transitions(split.train, items)
//   candidates  = candidate_sets(transitions, split.test.histories)      // C_u
//   covered     = covered_targets(candidates, split.test.targets)        // M
//   found       = measure_memorization(lists, split.test.targets, candidates, covered, 5)
//
// Source  "On the Memorization Behavior of LLMs in Generative Recommendation", arXiv 2606.17276, which
//         leaves open how seen items, ties and counts are treated: CandidateOptions says what is done here

namespace simgr::SIMGR_ABI::analysis {

/// Which successors of a user's input are candidates.
struct CandidateOptions {
  Index last = 0;          // items of the input that are read, from its end; 0: all
  Index most = 50;         // candidates that are kept; 0: all
  bool keep_seen = false;  // whether items that are read may be candidates
};

/// C_u of each input: what followed its items in training, best first. An item counts as often as it
/// followed any of them, each of which is read once however often it stands there; ties go to the
/// lower id.
///
///   score_u(v) = Σ count(h -> v) over the distinct h of the input
///
/// Ids are trusted. The lists are a recommender of their own: its top k are their first k.
///
/// Cost    O(successors of the input) a user, 16 bytes an item once
/// Errors  ConfigError: a negative number
inline Ragged<ItemId> candidate_sets(const ItemTransitions& transitions, RaggedView<ItemId> inputs,
                                     const CandidateOptions& options = {}) {
  if (options.last < 0 || options.most < 0) {
    SIMGR_THROW(ConfigError("candidates: expected numbers from 0, found last " +
                            std::to_string(options.last) + " and most " +
                            std::to_string(options.most)));
  }
  const auto items = static_cast<std::size_t>(transitions.items());
  std::vector<Index> score(items, 0), reader(items, -1);  // the input that read the item last
  std::vector<ItemId> found;
  Ragged<ItemId> sets;
  for (Index u = 0; u < inputs.sequences(); ++u) {
    std::span<const ItemId> input = inputs[u];
    if (options.last > 0 && static_cast<Index>(input.size()) > options.last) {
      input = input.last(static_cast<std::size_t>(options.last));
    }
    found.clear();
    for (const ItemId from : input) {
      if (reader[static_cast<std::size_t>(from)] == u) {
        continue;
      }
      reader[static_cast<std::size_t>(from)] = u;
      for (const Transition& next : transitions[from]) {
        Index& sum = score[static_cast<std::size_t>(next.item)];
        if (sum == 0) {
          found.push_back(next.item);
        }
        sum += next.count;
      }
    }
    const auto better = [&](ItemId a, ItemId b) {
      const Index of_a = score[static_cast<std::size_t>(a)],
                  of_b = score[static_cast<std::size_t>(b)];
      return of_a != of_b ? of_a > of_b : a < b;
    };
    const auto unseen =
        options.keep_seen ? found.end() : std::partition(found.begin(), found.end(), [&](ItemId v) {
          return reader[static_cast<std::size_t>(v)] != u;
        });
    const Index all = unseen - found.begin();
    const Index kept = options.most > 0 ? std::min(options.most, all) : all;
    if (kept < all) {
      std::nth_element(found.begin(), found.begin() + kept, unseen, better);
    }
    std::sort(found.begin(), found.begin() + kept, better);
    sets.push_back({found.data(), static_cast<std::size_t>(kept)});
    for (const ItemId item : found) { score[static_cast<std::size_t>(item)] = 0; }
  }
  return sets;
}

/// What everybody is given: for each input the k items of the most training interactions that are not
/// in it, ties by id. Ids are trusted.
inline Ragged<ItemId> popular_lists(std::span<const Index> popularity, RaggedView<ItemId> inputs,
                                    Index k) {
  std::vector<ItemId> order(popularity.size());
  std::iota(order.begin(), order.end(), ItemId{0});
  std::stable_sort(order.begin(), order.end(), [&](ItemId a, ItemId b) {
    return popularity[static_cast<std::size_t>(a)] > popularity[static_cast<std::size_t>(b)];
  });
  std::vector<Index> reader(popularity.size(), -1);
  std::vector<ItemId> list;
  Ragged<ItemId> lists;
  for (Index u = 0; u < inputs.sequences(); ++u) {
    for (const ItemId item : inputs[u]) { reader[static_cast<std::size_t>(item)] = u; }
    list.clear();
    for (std::size_t i = 0; i < order.size() && static_cast<Index>(list.size()) < k; ++i) {
      if (reader[static_cast<std::size_t>(order[i])] != u) {
        list.push_back(order[i]);
      }
    }
    lists.push_back(list);
  }
  return lists;
}

/// Of each user whether the target is a candidate: group M; the others are group N.   [users], 1 or 0
inline std::vector<char> covered_targets(const Ragged<ItemId>& candidates,
                                         std::span<const ItemId> targets) {
  std::vector<char> covered;
  for (std::size_t u = 0; u < targets.size(); ++u) {
    const std::span<const ItemId> set = candidates[static_cast<Index>(u)];
    covered.push_back(std::find(set.begin(), set.end(), targets[u]) != set.end() ? 1 : 0);
  }
  return covered;
}

/// What lists hold of the targets of some users; NaN where there are none.
struct FoundTargets {
  Index users = 0, hits = 0;
  double recall = eval::absent;  // Recall@k, one target a user
  double ndcg = eval::absent;    // NDCG@k
};

/// One system in numbers. Fractions from 0 to 1.
struct SystemMemorization {
  Index k = 0;
  double ratio = eval::absent;  // MemRatio@k: candidates among the k places, mean over users
  FoundTargets all, m, n;
  Index short_lists = 0;  // users who are listed fewer than k items
};

/// Measures lists, one a user, best first, each item once; what is beyond place k is not read. Places
/// that a short list leaves empty are no candidates and no hits: the ratio is always over k.
///
/// Cost    O(k + candidates) a user
/// Errors  ConfigError: k below 1; ShapeError: other than one list, target and set a user
inline SystemMemorization measure_memorization(const Ragged<ItemId>& lists,
                                               std::span<const ItemId> targets,
                                               const Ragged<ItemId>& candidates,
                                               std::span<const char> covered, Index k) {
  const auto users = static_cast<Index>(targets.size());
  if (k < 1) {
    SIMGR_THROW(ConfigError("k: expected a number from 1, found " + std::to_string(k)));
  }
  if (lists.sequences() != users || candidates.sequences() != users ||
      static_cast<Index>(covered.size()) != users) {
    SIMGR_THROW(ShapeError(
        "memorization: expected " + std::to_string(users) +
        " lists, candidate sets and users of a group, found " + std::to_string(lists.sequences()) +
        ", " + std::to_string(candidates.sequences()) + " and " + std::to_string(covered.size())));
  }
  SystemMemorization result;
  result.k = k;
  Index memorized = 0;
  double gains[2] = {0, 0};
  FoundTargets* const groups[2] = {&result.n, &result.m};
  for (Index u = 0; u < users; ++u) {
    const auto at = static_cast<std::size_t>(u);
    std::span<const ItemId> list = lists[u];
    result.short_lists += static_cast<Index>(list.size()) < k ? 1 : 0;
    list = list.first(std::min(list.size(), static_cast<std::size_t>(k)));
    const std::span<const ItemId> set = candidates[u];
    const std::size_t group = covered[at] != 0 ? 1 : 0;
    ++groups[group]->users;
    for (std::size_t place = 0; place < list.size(); ++place) {
      memorized += std::find(set.begin(), set.end(), list[place]) != set.end() ? 1 : 0;
      if (list[place] == targets[at]) {
        ++groups[group]->hits;
        gains[group] += 1 / std::log2(static_cast<double>(place) + 2);
      }
    }
  }
  const auto mean = [](double sum, Index count) {
    return count > 0 ? sum / static_cast<double>(count) : eval::absent;
  };
  for (const std::size_t group : {0u, 1u}) {
    FoundTargets& of = *groups[group];
    of.recall = mean(static_cast<double>(of.hits), of.users);
    of.ndcg = mean(gains[group], of.users);
  }
  result.all = {users, result.m.hits + result.n.hits};
  result.all.recall = mean(static_cast<double>(result.all.hits), users);
  result.all.ndcg = mean(gains[0] + gains[1], users);
  result.ratio = mean(static_cast<double>(memorized), users * k);
  return result;
}

/// Where the Recall@k that one system has more than another comes from.
struct RecallGain {
  double all = eval::absent, m = eval::absent, n = eval::absent;  // differences of recall
  /// Each group's part of all gained hits; they sum to 1, and one is negative where the groups
  /// disagree. NaN where there are as many hits as before.
  double share_m = eval::absent, share_n = eval::absent;
};

/// Both measured on the same users and groups.
inline RecallGain recall_gain(const SystemMemorization& system,
                              const SystemMemorization& reference) {
  RecallGain gain{system.all.recall - reference.all.recall, system.m.recall - reference.m.recall,
                  system.n.recall - reference.n.recall};
  const auto more = static_cast<double>(system.all.hits - reference.all.hits);
  if (more != 0) {
    gain.share_m = static_cast<double>(system.m.hits - reference.m.hits) / more;
    gain.share_n = static_cast<double>(system.n.hits - reference.n.hits) / more;
  }
  return gain;
}

}  // namespace simgr::SIMGR_ABI::analysis
