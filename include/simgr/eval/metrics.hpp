// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <simgr/core/view.hpp>

// Every metric as a function of ranks, of how often items were listed, or of one list. Sums are
// taken over all users and divided once. A metric that has nothing to be computed from is NaN.

namespace simgr::SIMGR_ABI::eval {

/// The value of a metric that has nothing to be computed from.
inline constexpr double absent = std::numeric_limits<double>::quiet_NaN();

/// Where a target stands among all items of a row.
struct Standing {
  Index better = 0;       // items with a higher score
  Index ties = 0;         // other items with the same score
  Index ties_before = 0;  // those of them with a lower id

  /// Place in the list that is served: score descending, id ascending; 1-based.
  double rank() const noexcept { return static_cast<double>(1 + better + ties_before); }
  /// Expected place if ties were broken at random.
  double half_tie_rank() const noexcept {
    return static_cast<double>(1 + better) + static_cast<double>(ties) / 2;
  }
};

/// The standing of `target` in one row of scores. Scores must not be NaN.
inline Standing standing_of(std::span<const float> scores, ItemId target) noexcept {
  Standing standing;
  const auto place = static_cast<std::size_t>(target);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    standing.better += scores[i] > scores[place] ? 1 : 0;
    if (scores[i] == scores[place] && i != place) {
      ++standing.ties;
      standing.ties_before += i < place ? 1 : 0;
    }
  }
  return standing;
}

// One relevant item a user --------------------------------------------------------------------

/// 1 / log2(rank + 1): the gain of one relevant item; the ideal list has gain 1.
inline double discount(double rank) noexcept {
  return 1 / std::log2(rank + 1);
}

/// Means over users, NaN without users:
///
///   hr    1[rank <= k]
///   ndcg  1[rank <= k] / log2(rank + 1)
///   mrr   1[rank <= k] / rank
struct Accuracy {
  double hr = absent, ndcg = absent, mrr = absent;
};
inline Accuracy accuracy(std::span<const double> ranks, Index k) noexcept {
  double hits = 0, gains = 0, reciprocals = 0;
  for (const double rank : ranks) {
    if (rank <= static_cast<double>(k)) {
      hits += 1;
      gains += discount(rank);
      reciprocals += 1 / rank;
    }
  }
  const auto users = static_cast<double>(ranks.size());
  return ranks.empty() ? Accuracy{} : Accuracy{hits / users, gains / users, reciprocals / users};
}

/// Mean of 1 / rank over the full ranking.
inline double mean_reciprocal_rank(std::span<const double> ranks) noexcept {
  double sum = 0;
  for (const double rank : ranks) { sum += 1 / rank; }
  return ranks.empty() ? absent : sum / static_cast<double>(ranks.size());
}

// What is listed ------------------------------------------------------------------------------

/// How the places of all lists spread over the catalogue; p_i = counts_i / sum of counts.
struct Spread {
  double coverage = absent;            // share of items listed at least once
  double entropy = absent;             // -sum p ln p, nats
  double entropy_bits = absent;        // the same in bits
  double entropy_normalised = absent;  // divided by ln items: 0 one item, 1 all alike
  double gini = absent;                // 0 all alike, towards 1 one item; unlisted items included
};

/// How often items were listed, as a spread. NaN where nothing is listed, but coverage 0.
///
/// @param counts  [items] lists that hold the item
///
/// Cost  O(items · log(items))
inline Spread spread(std::span<const Index> counts) {
  Spread result;
  if (counts.empty()) {
    return result;
  }
  const auto items = static_cast<double>(counts.size());
  std::vector<Index> ascending(counts.begin(), counts.end());
  std::sort(ascending.begin(), ascending.end());
  double total = 0;
  for (const Index count : ascending) { total += static_cast<double>(count); }
  const auto listed = static_cast<double>(
      ascending.end() - std::upper_bound(ascending.begin(), ascending.end(), Index{0}));
  result.coverage = listed / items;
  if (total == 0) {
    return result;
  }
  double entropy = 0, weighted = 0;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    if (ascending[i] > 0) {
      const double p = static_cast<double>(ascending[i]) / total;
      entropy -= p * std::log(p);
      weighted += (2 * static_cast<double>(i + 1) - items - 1) * static_cast<double>(ascending[i]);
    }
  }
  result.entropy = std::max(entropy, 0.0);  // one item: -1 ln 1 is -0
  result.entropy_bits = result.entropy / std::log(2.0);
  result.entropy_normalised = counts.size() == 1 ? 0 : result.entropy / std::log(items);
  result.gini = weighted / (items * total);
  return result;
}

// Popularity ----------------------------------------------------------------------------------

/// The head of the catalogue [items], nonzero for head: the top fifth of the items (rounded up) by
/// training popularity, ties to the lower id.
inline std::vector<char> head_items(std::span<const Index> popularity) {
  std::vector<std::pair<Index, std::size_t>> order;
  order.reserve(popularity.size());
  for (std::size_t i = 0; i < popularity.size(); ++i) { order.emplace_back(-popularity[i], i); }
  const std::size_t count = (popularity.size() + 4) / 5;
  std::nth_element(order.begin(), order.begin() + static_cast<Index>(count), order.end());
  std::vector<char> head(popularity.size(), 0);
  for (std::size_t i = 0; i < count; ++i) { head[order[i].second] = 1; }
  return head;
}

/// ARP: mean training popularity over all listed places.
inline double mean_popularity(std::span<const Index> counts,
                              std::span<const Index> popularity) noexcept {
  double sum = 0, total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sum += static_cast<double>(counts[i]) * static_cast<double>(popularity[i]);
    total += static_cast<double>(counts[i]);
  }
  return total == 0 ? absent : sum / total;
}

/// MGU = (|GU(head)| + |GU(tail)|) / 2, where
///
///   GU(group) = its share of listed places minus its share of the training interactions
inline double mean_group_unfairness(std::span<const Index> counts,
                                    std::span<const Index> popularity,
                                    std::span<const char> head) noexcept {
  double listed[2] = {}, known[2] = {};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::size_t group = head[i] != 0 ? 1 : 0;
    listed[group] += static_cast<double>(counts[i]);
    known[group] += static_cast<double>(popularity[i]);
  }
  const double places = listed[0] + listed[1], interactions = known[0] + known[1];
  if (places == 0 || interactions == 0) {
    return absent;
  }
  return (std::abs(listed[0] / places - known[0] / interactions) +
          std::abs(listed[1] / places - known[1] / interactions)) /
         2;
}

// Several relevant items a user ----------------------------------------------------------------

/// Metrics of one list against a set of relevant items, cut at k.
struct Relevance {
  double recall = absent;     // hits / relevant
  double precision = absent;  // hits / k
  double ndcg = absent;       // ideal: the first min(k, relevant) places
  double mrr = absent;        // 1 / place of the first hit, 0 without
  double map = absent;        // sum of the precision at each hit / min(relevant, k)
};

/// Metrics of one list. All NaN where nothing is relevant: such users are left out of means.
///
/// @param list      best first, none twice; may be shorter than k
/// @param relevant  ascending, none twice
inline Relevance relevance(std::span<const ItemId> list, std::span<const ItemId> relevant,
                           Index k) noexcept {
  if (relevant.empty() || k <= 0) {
    return {};
  }
  double hits = 0, gain = 0, ideal = 0, precisions = 0, first = 0;
  const std::size_t places = std::min(list.size(), static_cast<std::size_t>(k));
  for (std::size_t i = 0; i < places; ++i) {
    if (std::binary_search(relevant.begin(), relevant.end(), list[i])) {
      const auto place = static_cast<double>(i + 1);
      hits += 1;
      gain += discount(place);
      precisions += hits / place;
      first = first == 0 ? 1 / place : first;
    }
  }
  const std::size_t most = std::min(relevant.size(), static_cast<std::size_t>(k));
  for (std::size_t i = 0; i < most; ++i) { ideal += discount(static_cast<double>(i + 1)); }
  return {hits / static_cast<double>(relevant.size()), hits / static_cast<double>(k), gain / ideal,
          first, precisions / static_cast<double>(most)};
}

}  // namespace simgr::SIMGR_ABI::eval
