// SPDX-License-Identifier: Apache-2.0
#include <simgr/analysis/item_transitions.hpp>

#include <map>
#include <utility>

#include <doctest/doctest.h>
#include <support/random_histories.hpp>

namespace {

using namespace simgr;

using Pairs = std::map<std::pair<ItemId, ItemId>, std::pair<std::int32_t, Index>>;

Pairs pairs_of(const analysis::ItemTransitions& transitions) {
  Pairs pairs;
  for (ItemId from = 0; from < transitions.items(); ++from) {
    const analysis::Transition* before = nullptr;
    for (const analysis::Transition& next : transitions[from]) {
      CHECK((before == nullptr || before->hops < next.hops ||
             (before->hops == next.hops && before->item < next.item)));
      before = &next;
      pairs[{from, next.item}] = {next.hops, next.count};
    }
  }
  return pairs;
}

}  // namespace

TEST_CASE("Transitions are the pairs of a naive count, with the nearest distance of each") {
  for (const Index hops : {1, 2, 4}) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
      const auto histories = simgr_test::random_histories(seed, 30, 9, 8);
      Pairs expected;
      for (Index u = 0; u < histories.sequences(); ++u) {
        const auto s = histories[u];
        for (std::size_t a = 0; a < s.size(); ++a) {
          for (std::size_t b = a + 1; b < s.size() && b - a <= static_cast<std::size_t>(hops);
               ++b) {
            const auto distance = static_cast<std::int32_t>(b - a);
            auto& [nearest, count] =
                expected.try_emplace({s[a], s[b]}, distance, Index{0}).first->second;
            nearest = std::min(nearest, distance);
            ++count;
          }
        }
      }
      const auto transitions = analysis::count_transitions(histories, 9, hops);
      REQUIRE(transitions.items() == 9);
      CHECK(pairs_of(transitions) == expected);
      CHECK(transitions.distinct() == static_cast<Index>(expected.size()));
      Pairs turned;
      for (const auto& [pair, value] : expected) { turned[{pair.second, pair.first}] = value; }
      CHECK(pairs_of(analysis::reversed(transitions)) == turned);
    }
  }
}

TEST_CASE("Transitions of nothing are empty, and impossible hops are told") {
  const Ragged<ItemId> nothing;
  const auto none = analysis::count_transitions(nothing, 3);
  CHECK(none.items() == 3);
  CHECK(none.distinct() == 0);
  CHECK(analysis::reversed(none)[2].empty());
  CHECK_THROWS_AS(analysis::count_transitions(nothing, 3, 0), ConfigError);
  CHECK_THROWS_AS(analysis::count_transitions(nothing, 3, 256), ConfigError);
}
