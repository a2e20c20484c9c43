// SPDX-License-Identifier: Apache-2.0
#include <simgr/ranker/seen_items.hpp>

#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace {

using simgr::ItemId;
using Ids = std::vector<ItemId>;

Ids copy(std::span<const ItemId> ids) {
  return {ids.begin(), ids.end()};
}

simgr::Ragged<ItemId> lists(const std::vector<Ids>& rows) {
  simgr::Ragged<ItemId> ragged;
  for (const Ids& row : rows) { ragged.push_back(row); }
  return ragged;
}

}  // namespace

TEST_CASE("A rule joins history and deny list into one ascending set") {
  const auto histories = lists({{9, 9, 3}, {7, 1, 7, 20, -4}});
  const auto deny = lists({{5, 1}});
  simgr::ranker::ItemFilter filter{simgr::ranker::Seen::remove, histories, deny, {}};
  Ids memory(static_cast<std::size_t>(rule_memory(filter, 1)));
  auto rule = rule_of(filter, 1, 10, memory);
  CHECK(copy(rule.skip) == Ids{1, 5, 7});
  CHECK(rule.zeroed.empty());
  CHECK_FALSE(rule.restricted);
  CHECK(rule.skips(5));
  CHECK_FALSE(rule.skips(6));

  filter.seen = simgr::ranker::Seen::keep;
  CHECK(copy(rule_of(filter, 1, 10, memory).skip) == Ids{1, 5});
}

TEST_CASE("Zeroed items are those met, allowed and not denied") {
  const auto histories = lists({{7, 1, 7, 4, 2}});
  const auto deny = lists({{1}}), allow = lists({{4, 8, 7, 1, 8, 99}});
  const simgr::ranker::ItemFilter filter{simgr::ranker::Seen::zero, histories, deny, allow};
  Ids memory(static_cast<std::size_t>(rule_memory(filter, 0)));
  const auto rule = rule_of(filter, 0, 10, memory);
  CHECK(copy(rule.zeroed) == Ids{4, 7});
  CHECK(copy(rule.only) == Ids{1, 4, 7, 8});
  CHECK(copy(rule.skip) == Ids{1, 2, 4, 7});
  CHECK(rule.restricted);
}

TEST_CASE("The ways to treat seen items have names") {
  using simgr::ranker::Seen;
  const auto names = names_of(Seen{});
  CHECK(names[static_cast<std::size_t>(Seen::keep)] == "keep");
  CHECK(names[static_cast<std::size_t>(Seen::zero)] == "zero");
  CHECK(names[static_cast<std::size_t>(Seen::remove)] == "remove");
}
