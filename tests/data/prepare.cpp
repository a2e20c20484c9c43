// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/prepare.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::ItemId;
using simgr::data::Interactions;

namespace {

Interactions random_interactions(std::uint64_t seed, Index users, Index items, Index most) {
  simgr::Rng rng(seed);
  Interactions result{.items = items};
  for (Index user = 0; user < users; ++user) {
    std::vector<ItemId> history;
    std::int64_t time = 0;
    for (Index i = 1 + rng.below(most); i > 0; --i) {
      history.push_back(static_cast<ItemId>(rng.below(items)));
      time += rng.below(2);
      result.times.push_back(time);
    }
    result.histories.push_back(history);
  }
  return result;
}

using Triples = std::multiset<std::pair<std::string, std::string>>;

Triples named(const Interactions& interactions) {
  Triples triples;
  for (Index user = 0; user < interactions.users(); ++user) {
    for (const ItemId item : interactions.histories[user]) {
      triples.emplace(interactions.user_key(user), interactions.item_key(item));
    }
  }
  return triples;
}

/// Removes what falls short, over and over, on names.
Triples core_by_force(Triples triples, std::size_t users, std::size_t items) {
  for (;;) {
    std::map<std::string, std::size_t> user_count, item_count;
    for (const auto& [user, item] : triples) {
      ++user_count[user];
      ++item_count[item];
    }
    const std::size_t before = triples.size();
    std::erase_if(triples, [&](const auto& pair) {
      return user_count[pair.first] < users || item_count[pair.second] < items;
    });
    if (triples.size() == before) {
      return triples;
    }
  }
}

}  // namespace

TEST_CASE("the k-core is the fix point that brute force finds") {
  std::size_t left = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto all = random_interactions(seed, 40, 30, 10);
    for (const auto& [users, items] :
         {std::pair<Index, Index>(5, 5), {3, 7}, {6, 0}, {0, 6}, {4, 4}}) {
      const auto core = simgr::data::k_core(all, users, items);
      CHECK(named(core) == core_by_force(named(all), static_cast<std::size_t>(users),
                                         static_cast<std::size_t>(items)));
      const auto counts = simgr::data::count(core);
      CHECK((counts.users == 0 || counts.shortest >= users));
      CHECK((items == 0 || counts.items_seen == counts.items));
      CHECK(core.times.size() == core.histories.values.size());
      left += core.histories.values.size();
    }
  }
  CHECK(left > 1000);
}

TEST_CASE("what is kept keeps its order, times and names") {
  Interactions all{.user_keys = {"x", "y", "z"}, .items = 4};
  all.histories.push_back(std::vector<ItemId>{0, 3, 3});
  all.histories.push_back(std::vector<ItemId>{1});
  all.histories.push_back(std::vector<ItemId>{3, 0});
  all.times = {1, 2, 3, 4, 5, 6};
  const auto core = simgr::data::k_core(all, 2, 2);
  CHECK(core.user_keys == std::vector<std::string>{"x", "z"});
  CHECK(core.item_keys == std::vector<std::string>{"0", "3"});
  CHECK(core.histories.values == std::vector<ItemId>{0, 1, 1, 1, 0});
  CHECK(core.times == std::vector<std::int64_t>{1, 2, 3, 5, 6});
  const auto once = simgr::data::drop_repeats(all);
  CHECK(once.histories.values == std::vector<ItemId>{0, 3, 1, 3, 0});
  CHECK(once.times == std::vector<std::int64_t>{1, 2, 4, 5, 6});
  CHECK(once.items == 4);
  CHECK(once.item_keys.empty());
  const auto recent = simgr::data::limit_lengths(all, 2, 2);
  CHECK(recent.histories.values == std::vector<ItemId>{3, 3, 3, 0});
  CHECK(recent.user_keys == std::vector<std::string>{"x", "z"});
}

TEST_CASE("shuffled ties move items of equal time only, the same way for the same seed") {
  const auto all = random_interactions(1, 200, 500, 30);
  const auto a = simgr::data::shuffle_ties(all, 7), b = simgr::data::shuffle_ties(all, 7),
             c = simgr::data::shuffle_ties(all, 8);
  CHECK(a.histories.values == b.histories.values);
  CHECK(a.histories.values != c.histories.values);
  CHECK(a.histories.values != all.histories.values);
  CHECK(a.times == all.times);
  CHECK(simgr::data::fingerprint(a) == "649ee218ed35d8ab");
  for (Index user = 0; user < all.users(); ++user) {
    std::multiset<std::pair<std::int64_t, ItemId>> before, after;
    for (std::size_t i = 0; i < all.histories[user].size(); ++i) {
      before.emplace(all.times_of(user)[i], all.histories[user][i]);
      after.emplace(a.times_of(user)[i], a.histories[user][i]);
    }
    REQUIRE(before == after);
  }
  const auto untimed = [&] {
    auto copy = all;
    copy.times.clear();
    return copy;
  }();
  CHECK(simgr::data::shuffle_ties(untimed, 7).histories.values == all.histories.values);
}

TEST_CASE("the shuffle is fair") {
  // Three tied items, 6000 users: each order about 1000 times; the bound is 5 standard deviations.
  Interactions all{.items = 3};
  for (int user = 0; user < 6000; ++user) {
    all.histories.push_back(std::vector<ItemId>{0, 1, 2});
    all.times.insert(all.times.end(), {5, 5, 5});
  }
  std::map<std::vector<ItemId>, int> orders;
  const auto shuffled = simgr::data::shuffle_ties(std::move(all), 3);
  for (Index user = 0; user < 6000; ++user) {
    const auto history = shuffled.histories[user];
    ++orders[{history.begin(), history.end()}];
  }
  CHECK(orders.size() == 6);
  for (const auto& [order, times] : orders) { CHECK(std::abs(times - 1000) < 145); }
}

TEST_CASE("preparation goes step by step and says when nothing is left") {
  const auto all = random_interactions(2, 300, 60, 20);
  const auto prepared = simgr::data::prepare(all, {.repeats = simgr::data::Repeats::first,
                                                   .user_core = 3,
                                                   .item_core = 3,
                                                   .ties = simgr::data::Ties::shuffle,
                                                   .seed = 4,
                                                   .longest = 8});
  CHECK(simgr::data::count(prepared).longest == 8);
  CHECK(simgr::data::fingerprint(simgr::data::prepare(all, {})) == simgr::data::fingerprint(all));
  const auto empty = simgr::data::try_prepare(all, {.item_core = 10000});
  REQUIRE_FALSE(empty.ok());
  CHECK(std::string(empty.error().what()).find("item_core 10000") != std::string::npos);
  CHECK_FALSE(simgr::data::try_prepare(all, {.user_core = -1}).ok());
}

TEST_CASE("a fingerprint names content: any change gives another") {
  const auto all = random_interactions(3, 20, 30, 6);
  std::set<std::string> prints = {simgr::data::fingerprint(all)};
  const auto changed = [&](auto&& change) {
    auto copy = all;
    change(copy);
    CHECK(prints.insert(simgr::data::fingerprint(copy)).second);
  };
  for (std::size_t i = 0; i < all.histories.values.size(); ++i) {
    changed([&](Interactions& copy) {
      copy.histories.values[i] = (copy.histories.values[i] + 1) % 30;
    });
    changed([&](Interactions& copy) { ++copy.times[i]; });
  }
  changed([](Interactions& copy) { copy.items = 31; });
  changed([](Interactions& copy) { copy.times.clear(); });
  changed([](Interactions& copy) { copy.user_keys.assign(20, "u"); });
  changed([](Interactions& copy) { copy.item_keys.assign(30, "u"); });
  changed([](Interactions& copy) { ++copy.histories.offsets[1]; });
}
