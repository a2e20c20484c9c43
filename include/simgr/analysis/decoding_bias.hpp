// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/analysis/prefix_distribution.hpp>
#include <simgr/eval/metrics.hpp>

// What is lost between a model and its lists. A beam forgets tuples that the model finds likely; a
// model that predicts digits apart cannot say what they have in common. Each is measured against
// the distribution itself, so that an error of decoding is told from an error of the model.

namespace simgr::SIMGR_ABI::analysis {

using eval::absent;

// Search ------------------------------------------------------------------------------------------

/// How much of a distribution p some tuples hold, and how far from p the distribution is that knows
/// them alone, q = p / mass on them:
///
///   mass = sum of p;   KL(q || p) = -ln mass;   TV(q, p) = 1 - mass;   KL(p || q) is infinite if p
///   is positive anywhere else
struct Captured {
  double mass = absent, kl = absent, tv = absent;
};

/// @param logs  log-probabilities that sum to 1;  @param reached  places in `logs`, none twice
inline Captured captured(std::span<const double> logs, std::span<const Index> reached) {
  std::vector<double> part;
  part.reserve(reached.size());
  for (const Index place : reached) { part.push_back(logs[static_cast<std::size_t>(place)]); }
  const double mass = std::min(0.0, log_sum(part));  // rounding apart, no part exceeds the whole
  return {std::exp(mass), -mass, -std::expm1(mass)};
}

/// The k best items of some leaves by log-probability, best first, ties to the lower id. Items that
/// share a tuple have its score.
inline std::vector<ItemId> best_items(const Trie& trie, std::span<const double> leaf_scores,
                                      std::span<const Index> leaves, Index k) {
  std::vector<std::pair<double, ItemId>> order;
  for (const Index leaf : leaves) {
    for (const ItemId item : trie.items_below(trie.digits(), leaf)) {
      order.emplace_back(-leaf_scores[static_cast<std::size_t>(leaf)], item);
    }
  }
  const auto end = order.begin() + std::min(k, static_cast<Index>(order.size()));
  std::partial_sort(order.begin(), end, order.end());
  std::vector<ItemId> items;
  for (auto place = order.begin(); place != end; ++place) { items.push_back(place->second); }
  return items;
}
inline std::vector<ItemId> best_items(const Trie& trie, std::span<const double> leaf_scores,
                                      Index k) {
  std::vector<Index> all(leaf_scores.size());
  std::iota(all.begin(), all.end(), Index{0});
  return best_items(trie, leaf_scores, all, k);
}

/// Share of the first list that is in the second, too; NaN of an empty list.
inline double overlap(std::span<const ItemId> list, std::span<const ItemId> other) {
  Index both = 0;
  for (const ItemId item : list) {
    both += std::find(other.begin(), other.end(), item) != other.end() ? 1 : 0;
  }
  return list.empty() ? absent : static_cast<double>(both) / static_cast<double>(list.size());
}

/// 1-based place in a list; infinite where it is not there, so that it counts as a miss.
inline double place_in(std::span<const ItemId> list, ItemId item) {
  const auto found = std::find(list.begin(), list.end(), item);
  return found == list.end() ? std::numeric_limits<double>::infinity()
                             : static_cast<double>(found - list.begin() + 1);
}

/// 1-based place of an item among all, by its tuple's score, ties by id: its rank in the exact list.
inline double exact_rank(const Trie& trie, std::span<const double> leaf_scores, ItemId item) {
  const double own = leaf_scores[static_cast<std::size_t>(trie.leaf(item))];
  Index better = 0;
  for (Index leaf = 0; leaf < trie.nodes(trie.digits()); ++leaf) {
    const double score = leaf_scores[static_cast<std::size_t>(leaf)];
    if (score >= own) {
      const auto items = trie.items_below(trie.digits(), leaf);  // ascending
      better += score > own ? static_cast<Index>(items.size())
                            : std::lower_bound(items.begin(), items.end(), item) - items.begin();
    }
  }
  return static_cast<double>(1 + better);
}

/// What a beam of one width makes of what the model knows: of one user, or the mean over users.
struct BeamBias {
  Index width = 0;
  Captured captured;
  std::vector<double> survival;  // [digits] 1 where the target's prefix of 1 … digits was kept
  double overlap = absent;       // of the exact top k with the beam's
  double hr = absent, ndcg = absent;              // of the beam's list, at k
  double exact_hr = absent, exact_ndcg = absent;  // of the exact one
  double lost = absent;  // the target is in the exact top k and not in the beam's: search erred
  double won = absent;   // the other way round: its rivals were forgotten
  double rank = absent;  // of the target in the exact list of all items; over users, the median
  double missed_rank = absent;  // the same where the beam's list has not got it; NaN where it has
};

/// One user's loss by search at several widths.
///
/// @param prefixes  what the beam goes by; its leaves, made to sum to 1, are what the model knows
/// @param k         length of the lists that are compared
///
/// Cost    O(leaves) and a beam_through a width
inline std::vector<BeamBias> beam_bias(const Trie& trie, const PrefixLogs& prefixes, ItemId target,
                                       std::span<const Index> widths, Index k) {
  std::vector<double> logs(prefixes.leaves().begin(), prefixes.leaves().end());
  normalise(logs);
  const auto exact = best_items(trie, logs, k);
  const double exact_place = place_in(exact, target), rank = exact_rank(trie, logs, target);
  std::vector<BeamBias> result;
  for (const Index width : widths) {
    const BeamTrace trace = beam_through(trie, prefixes, width);
    const auto list = best_items(trie, logs, trace.leaves(), k);
    const double place = place_in(list, target);
    BeamBias one;
    one.width = width;
    one.captured = captured(logs, trace.leaves());
    const Index kept = survived(trie, trace, target);
    for (Index depth = 1; depth <= trie.digits(); ++depth) {
      one.survival.push_back(depth <= kept ? 1 : 0);
    }
    one.overlap = overlap(exact, list);
    const eval::Accuracy found = eval::accuracy(std::span(&place, 1), k),
                         could = eval::accuracy(std::span(&exact_place, 1), k);
    one.hr = found.hr;
    one.ndcg = found.ndcg;
    one.exact_hr = could.hr;
    one.exact_ndcg = could.ndcg;
    one.lost = could.hr * (1 - found.hr);
    one.won = found.hr * (1 - could.hr);
    one.rank = rank;
    one.missed_rank = found.hr > 0 ? absent : rank;
    result.push_back(std::move(one));
  }
  return result;
}

/// The middle value, the lower of two, of those that are not NaN; NaN without any.
inline double median(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) {
    return absent;
  }
  const auto middle = values.begin() + static_cast<Index>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Means over users, width by width; medians of ranks.
///
/// @param users  [users][widths], the same widths each
inline std::vector<BeamBias> mean(const std::vector<std::vector<BeamBias>>& users) {
  if (users.empty()) {
    return {};
  }
  std::vector<BeamBias> result = users.front();
  const auto numbers = [](BeamBias& one) {
    std::vector<double*> all{
        &one.captured.mass, &one.captured.kl, &one.captured.tv, &one.overlap, &one.hr,
        &one.ndcg,          &one.exact_hr,    &one.exact_ndcg,  &one.lost,    &one.won};
    for (double& share : one.survival) { all.push_back(&share); }
    return all;
  };
  for (std::size_t w = 0; w < result.size(); ++w) {
    const auto sums = numbers(result[w]);
    for (std::size_t u = 1; u < users.size(); ++u) {
      BeamBias one = users[u][w];
      const auto values = numbers(one);
      for (std::size_t i = 0; i < sums.size(); ++i) { *sums[i] += *values[i]; }
    }
    for (double* sum : sums) { *sum /= static_cast<double>(users.size()); }
    std::vector<double> ranks, missed;
    for (const auto& user : users) {
      ranks.push_back(user[w].rank);
      missed.push_back(user[w].missed_rank);
    }
    result[w].rank = median(std::move(ranks));
    result[w].missed_rank = median(std::move(missed));
  }
  return result;
}

// Independence ------------------------------------------------------------------------------------

/// The marginal of each digit [table_rows]: the best that a model can know that predicts digits
/// apart. Codes that no tuple has are minus infinity.
inline std::vector<double> digit_marginals(const Trie& trie, std::span<const double> leaves) {
  std::vector<double> marginals(static_cast<std::size_t>(trie.table_rows()), 0.0);
  for (Index leaf = 0; leaf < trie.nodes(trie.digits()); ++leaf) {
    const double p = std::exp(leaves[static_cast<std::size_t>(leaf)]);
    for (Index depth = trie.digits(), node = leaf; depth >= 1; --depth) {
      marginals[static_cast<std::size_t>(trie.row(depth, node))] += p;
      node = trie.parent(depth, node);
    }
  }
  for (double& value : marginals) { value = std::log(value); }
  return marginals;
}

/// The product of digit distributions at every tuple: what a model says that predicts digits apart.
///
/// @param digits  [table_rows] log-probabilities; those of one digit sum to 1
inline std::vector<double> independent_logs(const Trie& trie, std::span<const double> digits) {
  std::vector<double> above{0.0};
  for (Index depth = 1; depth <= trie.digits(); ++depth) {
    std::vector<double> here;
    here.reserve(static_cast<std::size_t>(trie.nodes(depth)));
    for (Index node = 0; node < trie.nodes(depth); ++node) {
      here.push_back(above[static_cast<std::size_t>(trie.parent(depth, node))] +
                     digits[static_cast<std::size_t>(trie.row(depth, node))]);
    }
    above = std::move(here);
  }
  return above;
}

/// Sum of the entropies of the digits minus that of the tuple, in nats: what the best model that
/// predicts digits apart misses, KL(p || product of the marginals).
///
/// Source  Watanabe 1960
inline double total_correlation(const Trie& trie, std::span<const double> leaves) {
  const double shared = entropy(digit_marginals(trie, leaves)) - entropy(leaves);
  return shared < 0 ? 0 : shared;  // rounding apart, never negative
}

/// KL(p || q) over the same places; infinite where q has no mass and p has.
inline double divergence(std::span<const double> p, std::span<const double> q) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double share = std::exp(p[i]);
    sum += share > 0 ? share * (p[i] - q[i]) : 0;
  }
  return sum;
}

/// Places with the mean over ties, 1-based, largest value first. No value may be NaN.
inline std::vector<double> tied_places(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  std::vector<double> places(values.size());
  for (std::size_t begin = 0, end = 1; begin < order.size(); begin = end++) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) { ++end; }
    for (std::size_t i = begin; i < end; ++i) {
      places[order[i]] = static_cast<double>(begin + end + 1) / 2;
    }
  }
  return places;
}

/// Spearman's rank correlation, ties at their mean place; NaN where one side is all alike or holds a
/// NaN.
inline double rank_correlation(std::span<const double> a, std::span<const double> b) {
  const auto is_nan = [](double value) { return std::isnan(value); };
  if (std::any_of(a.begin(), a.end(), is_nan) || std::any_of(b.begin(), b.end(), is_nan)) {
    return absent;
  }
  const auto left = tied_places(a), right = tied_places(b);
  const double middle = static_cast<double>(left.size() + 1) / 2;
  double both = 0, of_left = 0, of_right = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    both += (left[i] - middle) * (right[i] - middle);
    of_left += (left[i] - middle) * (left[i] - middle);
    of_right += (right[i] - middle) * (right[i] - middle);
  }
  return of_left > 0 && of_right > 0 ? both / std::sqrt(of_left * of_right) : absent;
}

/// What predicting digits apart makes of a reference p: of one user, or the mean over users.
struct IndependenceBias {
  double entropy = absent;            // of p
  double total_correlation = absent;  // of p: no such model comes nearer than this
  double kl = absent;                 // KL(p || q), q the product
  double valid_mass = absent;         // Z_V: what q gives to tuples that items have; 1 - Z_V leaks
  double kl_restricted = absent;      // KL(p || q / Z_V) = KL(p || q) + ln Z_V
  double rank_correlation = absent;   // of p with q, over tuples
  double overlap = absent;            // of the top k of p with that of q
};

/// One user's loss by independence.
///
/// @param reference  [leaves] log-probabilities that sum to 1: an autoregressive or an item-level
///                   model, or the truth where it is known
/// @param digits     [table_rows] what the model says of each digit; the marginals of the reference
///                   where the model is as good as it can be
///
/// Errors  DataError: what the model says of a digit is NaN or infinitely likely
inline IndependenceBias independence_bias(const Trie& trie, std::span<const double> reference,
                                          std::span<const double> digits, Index k) {
  if (!std::all_of(digits.begin(), digits.end(),
                   [](double log) { return log < std::numeric_limits<double>::infinity(); })) {
    SIMGR_THROW(DataError("a log-probability of a digit is no number"));
  }
  const auto product = independent_logs(trie, digits);
  const double leaked = log_sum(product);
  IndependenceBias bias;
  bias.entropy = entropy(reference);
  bias.total_correlation = total_correlation(trie, reference);
  bias.kl = divergence(reference, product);
  bias.valid_mass = std::exp(leaked);
  bias.kl_restricted = bias.kl + leaked < 0 ? 0 : bias.kl + leaked;  // rounding apart
  bias.rank_correlation = rank_correlation(reference, product);
  bias.overlap = overlap(best_items(trie, reference, k), best_items(trie, product, k));
  return bias;
}

/// Means over users. A value that is NaN for a user counts for the others alone.
inline IndependenceBias mean(std::span<const IndependenceBias> users) {
  IndependenceBias result;
  for (double IndependenceBias::*value :
       {&IndependenceBias::entropy, &IndependenceBias::total_correlation, &IndependenceBias::kl,
        &IndependenceBias::valid_mass, &IndependenceBias::kl_restricted,
        &IndependenceBias::rank_correlation, &IndependenceBias::overlap}) {
    double sum = 0, count = 0;
    for (const IndependenceBias& user : users) {
      if (!std::isnan(user.*value)) {
        sum += user.*value;
        count += 1;
      }
    }
    result.*value = count > 0 ? sum / count : absent;
  }
  return result;
}

// Frequency ---------------------------------------------------------------------------------------

/// What lists show of a part of the catalogue, against what users chose there.
struct FrequencyBand {
  Index items = 0;
  double listed = absent;  // share of all list places
  double chosen = absent;  // share of all choices
};

/// The catalogue in `bands` parts of equal numbers of items, most popular first, ties to the lower
/// id: of five, the first is the head of eval::head_items, where the items divide by five.
///
/// @param popularity  [items] training interactions: what the order goes by
/// @param listed      [items] list places;  @param chosen  [items] what users took
/// Errors  ShapeError: other lengths;  ConfigError: fewer items than bands, or no band
inline std::vector<FrequencyBand> frequency_bands(std::span<const Index> popularity,
                                                  std::span<const Index> listed,
                                                  std::span<const Index> chosen, Index bands) {
  const auto items = static_cast<Index>(popularity.size());
  if (listed.size() != popularity.size() || chosen.size() != popularity.size()) {
    SIMGR_THROW(ShapeError("frequencies: expected [" + std::to_string(items) + "], found [" +
                           std::to_string(listed.size()) + "] and [" +
                           std::to_string(chosen.size()) + "]"));
  }
  if (bands < 1 || bands > items) {
    SIMGR_THROW(ConfigError("bands: expected 1 to " + std::to_string(items) + ", found " +
                            std::to_string(bands)));
  }
  std::vector<std::size_t> order(popularity.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return popularity[a] > popularity[b]; });
  const auto total = [](std::span<const Index> counts) {
    return static_cast<double>(std::accumulate(counts.begin(), counts.end(), Index{0}));
  };
  const double places = total(listed), choices = total(chosen);
  std::vector<FrequencyBand> result;
  for (Index band = 0; band < bands; ++band) {
    const Index begin = items * band / bands, end = items * (band + 1) / bands;
    double shown = 0, taken = 0;
    for (Index i = begin; i < end; ++i) {
      shown += static_cast<double>(listed[order[static_cast<std::size_t>(i)]]);
      taken += static_cast<double>(chosen[order[static_cast<std::size_t>(i)]]);
    }
    result.push_back({end - begin, places > 0 ? shown / places : absent,
                      choices > 0 ? taken / choices : absent});
  }
  return result;
}

/// Share of the choices that fell on items no list holds: no ranking of the lists could find them.
inline double chosen_but_never_listed(std::span<const Index> listed,
                                      std::span<const Index> chosen) {
  double missed = 0, total = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    missed += listed[i] == 0 ? static_cast<double>(chosen[i]) : 0;
    total += static_cast<double>(chosen[i]);
  }
  return total > 0 ? missed / total : absent;
}

}  // namespace simgr::SIMGR_ABI::analysis
