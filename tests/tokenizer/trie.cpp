// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/trie.hpp>

#include <map>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using namespace simgr;

namespace {

using Tuple = std::vector<std::int32_t>;

SemanticIds tuples_of(const std::vector<Tuple>& items, std::vector<Index> codes) {
  SemanticIds ids;
  ids.codes = OwnedMatrix<std::int32_t>(static_cast<Index>(items.size()),
                                        static_cast<Index>(items.front().size()));
  ids.codes.values.clear();
  for (const Tuple& item : items) {
    ids.codes.values.insert(ids.codes.values.end(), item.begin(), item.end());
  }
  ids.codes_per_digit = std::move(codes);
  return ids;
}

/// The digits of a node, read from the root down.
Tuple digits_of(const Trie& trie, Index depth, Index node) {
  Tuple digits;
  for (; depth > 0; --depth) {
    digits.insert(digits.begin(),
                  static_cast<std::int32_t>(trie.row(depth, node) - trie.first_row(depth - 1)));
    node = trie.parent(depth, node);
  }
  return digits;
}

/// Every claim of a trie against a map from prefixes to items.
void check_against_prefixes(const std::vector<Tuple>& items, const Trie& trie) {
  const auto digits = static_cast<Index>(items.front().size());
  REQUIRE(trie.digits() == digits);
  REQUIRE(trie.items() == static_cast<Index>(items.size()));
  for (Index depth = 0; depth <= digits; ++depth) {
    std::map<Tuple, std::multiset<ItemId>> prefixes;
    for (std::size_t i = 0; i < items.size(); ++i) {
      prefixes[{items[i].begin(), items[i].begin() + depth}].insert(static_cast<ItemId>(i));
    }
    REQUIRE(trie.nodes(depth) == static_cast<Index>(prefixes.size()));
    Index node = 0;
    for (const auto& [prefix, below] : prefixes) {
      CHECK(digits_of(trie, depth, node) == prefix);
      const auto found = trie.items_below(depth, node);
      CHECK(std::multiset<ItemId>(found.begin(), found.end()) == below);
      const Trie::Range children = trie.children(depth, node);
      if (depth == digits) {
        CHECK(children.size() == static_cast<Index>(below.size()));
        CHECK(std::is_sorted(found.begin(), found.end()));
        for (const ItemId item : found) { CHECK(trie.leaf(item) == node); }
      } else {
        for (Index child = children.begin; child < children.end; ++child) {
          CHECK(trie.parent(depth + 1, child) == node);
          CHECK(trie.child(depth, node, trie.row(depth + 1, child)) == child);
        }
        CHECK(trie.child(depth, node, -1) == -1);
        CHECK(trie.child(depth, node, static_cast<std::int32_t>(trie.table_rows())) == -1);
      }
      ++node;
    }
    CHECK(trie.children(depth, 0).begin == 0);
    CHECK(trie.children(depth, node - 1).end ==
          (depth == digits ? trie.items() : trie.nodes(depth + 1)));
  }
}

}  // namespace

TEST_CASE("A trie holds the prefixes of random tuples, shared ones too") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Rng rng(seed, 3);
    const auto digits = static_cast<std::size_t>(1 + rng.below(4));
    std::vector<Index> codes;
    for (std::size_t l = 0; l < digits; ++l) { codes.push_back(1 + rng.below(5)); }
    std::vector<Tuple> items;
    for (int i = 0; i < 40; ++i) {
      Tuple tuple;
      for (const Index count : codes) {
        tuple.push_back(static_cast<std::int32_t>(rng.below(count)));
      }
      items.push_back(tuple);
    }
    const Trie trie(tuples_of(items, codes));
    check_against_prefixes(items, trie);
    CHECK(trie.table_rows() == std::accumulate(codes.begin(), codes.end(), Index{0}));
  }
}

TEST_CASE("A trie of one item, and one of a tuple that all items share") {
  const std::vector<Tuple> one{{2, 0, 5}};
  check_against_prefixes(one, Trie(tuples_of(one, {3, 1, 6})));
  const std::vector<Tuple> same{{1, 1}, {1, 1}, {1, 1}};
  const Trie trie(tuples_of(same, {2, 2}));
  check_against_prefixes(same, trie);
  CHECK(trie.items_below(2, 0).size() == 3);
}

TEST_CASE("A trie is not sized by the range of codes") {
  const Index most = INT32_MAX;
  const std::vector<Tuple> items{{INT32_MAX - 2, 0}, {0, 0}};
  const Trie trie(tuples_of(items, {most - 1, 1}));
  CHECK(trie.nodes(1) == 2);
  CHECK(trie.row(1, 1) == INT32_MAX - 2);
  CHECK(trie.row(2, 1) == INT32_MAX - 1);
  CHECK_THROWS_WITH_AS(Trie(tuples_of(items, {most, 1})),
                       "codes_per_digit: expected at most 2147483647 codes in all, found 1 of "
                       "digit 1",
                       DataError);
}

TEST_CASE("Ids that make no trie are told") {
  CHECK_THROWS_WITH_AS(Trie(SemanticIds{}),
                       "trie: expected items with at least one digit, found 0 items of 0 digits",
                       ConfigError);
  CHECK_THROWS_WITH_AS(Trie(tuples_of({{1, 0}}, {2})), "codes_per_digit: expected [2], found [1]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(Trie(tuples_of({{1, 0}, {1, 3}}, {2, 3})),
                       "semantic ids: digit 1 of item 1: expected 0 to 2, found 3", DataError);
  CHECK_THROWS_AS(Trie(tuples_of({{-1, 0}}, {2, 3})), DataError);
}
