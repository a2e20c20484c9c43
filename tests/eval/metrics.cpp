// SPDX-License-Identifier: Apache-2.0
#include <simgr/eval/metrics.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <doctest/doctest.h>

// Every metric against its definition, written as slowly and plainly as possible.

namespace {

using namespace simgr::eval;
using simgr::Index;
using simgr::ItemId;

bool same(double a, double b, double tolerance) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

}  // namespace

TEST_CASE("Standings in 30,000 random rows are places in the sorted row") {
  std::mt19937 rng(1);
  for (int round = 0; round < 30000; ++round) {
    const std::size_t items = 1 + rng() % 60;
    std::vector<float> scores(items);
    const auto levels = 1 + static_cast<unsigned>(rng() % 40);
    for (float& score : scores) { score = static_cast<float>(rng() % levels) - 10; }
    const auto target = static_cast<ItemId>(rng() % items);
    const float own = scores[static_cast<std::size_t>(target)];
    std::vector<std::pair<float, ItemId>> order;
    for (std::size_t i = 0; i < items; ++i) { order.emplace_back(-scores[i], ItemId(i)); }
    std::sort(order.begin(), order.end());
    const auto place = std::find(order.begin(), order.end(), std::pair(-own, target));
    const Standing standing = standing_of(scores, target);
    REQUIRE(standing.rank() == static_cast<double>(place - order.begin() + 1));
    // Half ties: the mean place over the group of equals.
    double sum = 0, equals = 0;
    for (std::size_t i = 0; i < items; ++i) {
      if (-order[i].first == own) {
        sum += static_cast<double>(i + 1);
        equals += 1;
      }
    }
    REQUIRE(standing.half_tie_rank() == sum / equals);
    REQUIRE(static_cast<double>(standing.ties) == equals - 1);
  }
}

TEST_CASE("Accuracy of 30,000 random sets of ranks is the mean over users, exactly") {
  std::mt19937 rng(2);
  for (int round = 0; round < 30000; ++round) {
    std::vector<double> ranks(1 + rng() % 20);
    for (double& rank : ranks) { rank = 1 + static_cast<double>(rng() % 80) / 2; }
    const auto k = static_cast<Index>(1 + rng() % 30);
    double hr = 0, ndcg = 0, mrr = 0, full = 0;
    for (const double rank : ranks) {
      hr += rank <= static_cast<double>(k) ? 1 : 0;
      ndcg += rank <= static_cast<double>(k) ? 1 / std::log2(rank + 1) : 0;
      mrr += rank <= static_cast<double>(k) ? 1 / rank : 0;
      full += 1 / rank;
    }
    const auto users = static_cast<double>(ranks.size());
    const Accuracy result = accuracy(ranks, k);
    REQUIRE(result.hr == hr / users);
    REQUIRE(result.ndcg == ndcg / users);
    REQUIRE(result.mrr == mrr / users);
    REQUIRE(mean_reciprocal_rank(ranks) == full / users);
  }
}

TEST_CASE("Coverage, entropy and Gini of 10,000 random frequencies agree to 1e-12") {
  std::mt19937 rng(3);
  for (int round = 0; round < 10000; ++round) {
    std::vector<Index> counts(2 + rng() % 60);
    for (Index& count : counts) {
      count = rng() % 3 == 0 ? 0 : static_cast<Index>(rng() % (1 + rng() % 1000));
    }
    counts[rng() % counts.size()] += 1;
    double total = 0, listed = 0, entropy = 0, differences = 0;
    for (const Index count : counts) { total += static_cast<double>(count); }
    for (const Index a : counts) {
      listed += a > 0 ? 1 : 0;
      entropy -=
          a > 0 ? static_cast<double>(a) / total * std::log(static_cast<double>(a) / total) : 0;
      // Gini as half the relative mean absolute difference over all pairs.
      for (const Index b : counts) { differences += static_cast<double>(std::abs(a - b)); }
    }
    const auto items = static_cast<double>(counts.size());
    const Spread result = spread(counts);
    REQUIRE(result.coverage == listed / items);
    REQUIRE(same(result.entropy, entropy, 1e-12));
    REQUIRE(same(result.entropy_bits, entropy / std::log(2.0), 1e-12));
    REQUIRE(same(result.entropy_normalised, entropy / std::log(items), 1e-12));
    REQUIRE(same(result.gini, differences / (2 * items * total), 1e-12));
  }
}

TEST_CASE("Spreads at the ends of their ranges") {
  const std::vector<Index> equal(16, 3), one{0, 0, 7, 0}, none(5, 0), only{4};
  CHECK(spread(equal).entropy_bits == doctest::Approx(4).epsilon(1e-15));
  CHECK(spread(equal).entropy_normalised == doctest::Approx(1).epsilon(1e-15));
  CHECK(spread(equal).gini == 0);
  CHECK(spread(one).entropy == 0);
  CHECK_FALSE(std::signbit(spread(one).entropy));
  CHECK(spread(one).gini == 0.75);
  CHECK(spread(none).coverage == 0);
  CHECK(std::isnan(spread(none).entropy));
  CHECK(std::isnan(spread({}).coverage));
  CHECK(spread(only).entropy_normalised == 0);
}

TEST_CASE("Popularity measures of 10,000 random catalogues") {
  std::mt19937 rng(4);
  for (int round = 0; round < 10000; ++round) {
    const std::size_t items = 1 + rng() % 40;
    std::vector<Index> popularity(items), counts(items);
    for (std::size_t i = 0; i < items; ++i) {
      popularity[i] = static_cast<Index>(rng() % 12);
      counts[i] = static_cast<Index>(rng() % 5);
    }
    // Head: the first fifth, rounded up, of the items sorted by popularity, lower id first.
    std::vector<std::size_t> order(items);
    for (std::size_t i = 0; i < items; ++i) { order[i] = i; }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return popularity[a] > popularity[b]; });
    const std::set<std::size_t> first(
        order.begin(),
        order.begin() + static_cast<Index>(std::ceil(static_cast<double>(items) / 5)));
    const auto head = head_items(popularity);
    std::vector<double> places;  // the popularity of every listed place, one by one
    double head_places = 0, head_known = 0, known = 0;
    for (std::size_t i = 0; i < items; ++i) {
      REQUIRE((head[i] != 0) == (first.count(i) != 0));
      for (Index n = 0; n < counts[i]; ++n) {
        places.push_back(static_cast<double>(popularity[i]));
        head_places += head[i] != 0 ? 1 : 0;
      }
      head_known += head[i] != 0 ? static_cast<double>(popularity[i]) : 0;
      known += static_cast<double>(popularity[i]);
    }
    double sum = 0;
    for (const double place : places) { sum += place; }
    const auto total = static_cast<double>(places.size());
    REQUIRE(same(mean_popularity(counts, popularity), places.empty() ? absent : sum / total, 0));
    // With two groups the two shares differ by the same amount.
    const double unfairness =
        places.empty() || known == 0 ? absent : std::abs(head_places / total - head_known / known);
    REQUIRE(same(mean_group_unfairness(counts, popularity, head), unfairness, 1e-12));
  }
}

TEST_CASE("Lists against several relevant items, 20,000 random cases") {
  std::mt19937 rng(5);
  for (int round = 0; round < 20000; ++round) {
    std::vector<ItemId> list(1 + rng() % 15);
    for (std::size_t i = 0; i < list.size(); ++i) { list[i] = static_cast<ItemId>(i * 2); }
    std::shuffle(list.begin(), list.end(), rng);
    std::set<ItemId> relevant;
    for (unsigned i = rng() % 8; i > 0; --i) { relevant.insert(static_cast<ItemId>(rng() % 30)); }
    const std::size_t k = 1 + rng() % 20;
    std::vector<double> hit(k, 0.0);
    for (std::size_t i = 0; i < std::min(k, list.size()); ++i) {
      hit[i] = relevant.count(list[i]) != 0 ? 1 : 0;
    }
    double hits = 0, gain = 0, ideal = 0, map = 0, first = 0;
    for (std::size_t i = 0; i < k; ++i) {
      hits += hit[i];
      gain += hit[i] / std::log2(static_cast<double>(i) + 2);
      ideal += i < relevant.size() ? 1 / std::log2(static_cast<double>(i) + 2) : 0;
      double before = 0;  // precision at this place
      for (std::size_t j = 0; j <= i; ++j) { before += hit[j] / static_cast<double>(i + 1); }
      map += hit[i] * before;
      first = first == 0 && hit[i] != 0 ? 1 / static_cast<double>(i + 1) : first;
    }
    const std::vector<ItemId> ascending(relevant.begin(), relevant.end());
    const Relevance result = relevance(list, ascending, static_cast<Index>(k));
    if (relevant.empty()) {
      REQUIRE(std::isnan(result.recall));
      REQUIRE(std::isnan(result.map));
      continue;
    }
    const auto size = static_cast<double>(relevant.size());
    REQUIRE(result.recall == hits / size);
    REQUIRE(result.precision == hits / static_cast<double>(k));
    REQUIRE(same(result.ndcg, gain / ideal, 1e-12));
    REQUIRE(result.mrr == first);
    REQUIRE(same(result.map, map / std::min(size, static_cast<double>(k)), 1e-12));
  }
}

TEST_CASE("Means over no user are absent") {
  CHECK(std::isnan(accuracy({}, 10).hr));
  CHECK(std::isnan(mean_reciprocal_rank({})));
}
