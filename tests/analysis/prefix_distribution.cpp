// SPDX-License-Identifier: Apache-2.0
#include <simgr/analysis/prefix_distribution.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

namespace {

using namespace simgr::analysis;
using simgr::Index;
using simgr::ItemId;
using simgr::Rng;
using simgr::SemanticIds;
using simgr::Trie;

SemanticIds ids_from(const std::vector<std::vector<int>>& tuples, std::vector<Index> codes) {
  SemanticIds ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(static_cast<Index>(tuples.size()),
                                               static_cast<Index>(codes.size()));
  for (std::size_t i = 0; i < tuples.size(); ++i) {
    std::copy(tuples[i].begin(), tuples[i].end(),
              ids.codes.values.begin() + static_cast<Index>(i * codes.size()));
  }
  ids.codes_per_digit = std::move(codes);
  return ids;
}

/// The beam of the definition: prefixes as vectors, in maps, nothing shared with a trie.
std::set<std::vector<int>> reached_by_definition(const std::map<std::vector<int>, double>& p,
                                                 std::size_t digits, std::size_t width) {
  std::vector<std::vector<int>> beam{{}};
  for (std::size_t depth = 1; depth <= digits; ++depth) {
    std::map<std::vector<int>, double> extensions;
    for (const auto& [tuple, share] : p) {
      const std::vector<int> prefix(tuple.begin(), tuple.begin() + static_cast<Index>(depth));
      const std::vector<int> shorter(prefix.begin(), prefix.end() - 1);
      if (std::find(beam.begin(), beam.end(), shorter) != beam.end()) {
        extensions[prefix] += share;
      }
    }
    std::vector<std::pair<double, std::vector<int>>> order;
    for (const auto& [prefix, share] : extensions) { order.emplace_back(-share, prefix); }
    std::sort(order.begin(), order.end());
    beam.clear();
    for (std::size_t i = 0; i < std::min(width, order.size()); ++i) {
      beam.push_back(order[i].second);
    }
  }
  return {beam.begin(), beam.end()};
}

}  // namespace

TEST_CASE("Logs of masses become log-probabilities, however small") {
  std::vector<double> logs{-1000, -1000, -1000 + std::log(2.0)};
  CHECK(normalise(logs) == doctest::Approx(-1000 + std::log(4.0)));
  CHECK(logs[2] == doctest::Approx(std::log(0.5)));
  CHECK(std::abs(log_sum(logs)) < 1e-12);  // the logs had four digits before the point
  CHECK(entropy(logs) == doctest::Approx(1.5 * std::log(2.0)));
  constexpr double none = -std::numeric_limits<double>::infinity();
  std::vector<double> one{none, -3};
  normalise(one);
  CHECK(one == std::vector<double>{none, 0});
  CHECK(entropy(one) == 0);
  std::vector<double> nothing{none, none}, broken{0, std::nan("")}, infinite{0, -none};
  CHECK_THROWS_WITH_AS(normalise(nothing), "no item has a probability", simgr::DataError);
  CHECK_THROWS_AS(normalise(broken), simgr::DataError);
  CHECK_THROWS_AS(normalise(infinite), simgr::DataError);
  CHECK_THROWS_AS(normalise({}), simgr::DataError);
}

TEST_CASE("A beam of one follows the better prefix away from the best item") {
  // simgr.md 3.1: P(A) = .55 over five leaves, P(B) = .45 with leaves .9 and .1 of it.
  const Trie trie(ids_from({{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {1, 0}, {1, 1}}, {2, 5}));
  const std::vector<double> p{0.11, 0.11, 0.11, 0.11, 0.11, 0.405, 0.045};
  std::vector<double> logs;
  for (const double share : p) { logs.push_back(std::log(share)); }
  const PrefixLogs prefixes = prefix_logs(trie, leaf_logs(trie, logs));
  CHECK(std::exp(prefixes.at[1][0]) == doctest::Approx(0.55));
  CHECK(std::exp(prefixes.at[1][1]) == doctest::Approx(0.45));
  CHECK(std::abs(prefixes.at[0][0]) < 1e-15);
  const BeamTrace one = beam_through(trie, prefixes, 1), two = beam_through(trie, prefixes, 2);
  CHECK(one.kept == std::vector<std::vector<Index>>{{0}, {0}});
  CHECK(two.leaves()[0] == 5);
  CHECK(survived(trie, one, 5) == 0);
  CHECK(survived(trie, one, 4) == 1);
  CHECK(survived(trie, one, 0) == 2);
  CHECK(survived(trie, two, 5) == 2);
  CHECK_THROWS_WITH_AS(beam_through(trie, prefixes, 0), "beam width: expected at least 1, found 0",
                       simgr::ConfigError);
  CHECK_THROWS_AS(prefix_logs(trie, std::vector<double>(6)), simgr::ShapeError);
  CHECK_THROWS_AS(leaf_logs(trie, std::vector<double>(6)), simgr::ShapeError);
}

TEST_CASE("Items that share a tuple are one leaf with the mass of both") {
  const Trie trie(ids_from({{1, 1}, {0, 1}, {1, 1}}, {2, 2}));
  const auto leaves =
      leaf_logs(trie, std::vector<double>{std::log(0.2), std::log(0.5), std::log(0.3)});
  REQUIRE(leaves.size() == 2);
  CHECK(std::exp(leaves[0]) == doctest::Approx(0.5));
  CHECK(std::exp(leaves[1]) == doctest::Approx(0.5));
}

TEST_CASE("Beams of 400 random distributions keep what the definition keeps") {
  for (std::uint64_t round = 0; round < 400; ++round) {
    Rng rng(21, round);
    const Index digits = 1 + rng.below(4), codes = 1 + rng.below(4);
    std::map<std::vector<int>, double> p;
    for (Index i = 0; i < 1 + rng.below(40); ++i) {
      std::vector<int> tuple;
      for (Index l = 0; l < digits; ++l) { tuple.push_back(static_cast<int>(rng.below(codes))); }
      p[tuple] = std::exp(3 * rng.normal());
    }
    std::vector<std::vector<int>> tuples;
    std::vector<double> logs;
    for (const auto& [tuple, share] : p) {
      tuples.push_back(tuple);
      logs.push_back(std::log(share));
    }
    const Trie trie(ids_from(tuples, std::vector<Index>(static_cast<std::size_t>(digits), codes)));
    const PrefixLogs prefixes = prefix_logs(trie, leaf_logs(trie, logs));
    for (const Index width : {Index{1}, Index{2}, Index{5}, Index{1000}}) {
      const BeamTrace trace = beam_through(trie, prefixes, width);
      const auto expected = reached_by_definition(p, static_cast<std::size_t>(digits),
                                                  static_cast<std::size_t>(width));
      std::set<std::vector<int>> found;
      for (const Index leaf : trace.leaves()) {
        found.insert(tuples[static_cast<std::size_t>(trie.items_below(digits, leaf).front())]);
      }
      CHECK(found == expected);
      CHECK(std::is_sorted(trace.leaves().begin(), trace.leaves().end(), [&](Index a, Index b) {
        return prefixes.leaves()[static_cast<std::size_t>(a)] >
               prefixes.leaves()[static_cast<std::size_t>(b)];
      }));
      for (std::size_t i = 0; i < tuples.size(); ++i) {
        const bool reached = survived(trie, trace, static_cast<ItemId>(i)) == digits;
        REQUIRE(reached == expected.contains(tuples[i]));
      }
      if (width == 1000) {
        REQUIRE(found.size() == tuples.size());
      }
    }
  }
}
