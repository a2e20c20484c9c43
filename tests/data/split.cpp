// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/split.hpp>

#include <numeric>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::ItemId;
using simgr::data::Interactions;

namespace {

Interactions of(const std::vector<std::vector<ItemId>>& histories,
                std::vector<std::int64_t> times = {}) {
  Interactions result{.times = std::move(times), .items = 20};
  for (const auto& history : histories) { result.histories.push_back(history); }
  return result;
}

std::vector<ItemId> list(std::span<const ItemId> items) {
  return {items.begin(), items.end()};
}

}  // namespace

TEST_CASE("leave-one-out gives the last item to test and the one before to validation") {
  const auto interactions = of({{1, 2, 3, 4}, {5, 6}, {7, 8, 9}, {1}});
  const auto split = simgr::data::leave_one_out(interactions);
  CHECK(split.items == 20);
  CHECK(split.too_short == 2);
  CHECK(split.train.offsets == std::vector<Index>{0, 2, 4, 5, 6});
  CHECK(split.train.values == std::vector<ItemId>{1, 2, 5, 6, 7, 1});
  CHECK(split.validation.targets == std::vector<ItemId>{3, 8});
  CHECK(split.validation.users == std::vector<simgr::UserId>{0, 2});
  CHECK(split.test.targets == std::vector<ItemId>{4, 9});
  CHECK(list(split.test.histories[0]) == std::vector<ItemId>{1, 2, 3});
  CHECK(list(split.test.histories[1]) == std::vector<ItemId>{7, 8});
  CHECK(simgr::data::leakage(split, interactions).sound());
}

TEST_CASE("a split in which nobody can be evaluated is an error") {
  const auto result = simgr::data::try_leave_one_out(of({{1, 2}, {3}}));
  REQUIRE_FALSE(result.ok());
  CHECK(std::string(result.error().what()) ==
        "nobody can be evaluated: no user has three items; there are 2 users and 3 training "
        "interactions");
  CHECK_THROWS_AS(simgr::data::leave_one_out(Interactions{}), simgr::DataError);
  CHECK_FALSE(simgr::data::try_ratio_split(of({{1, 2}})).ok());
}

TEST_CASE("a ratio split cuts every history in shares, one case for each held-out item") {
  const auto interactions = of({{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {10, 11, 12}, {13, 14}});
  const auto split = simgr::data::ratio_split(interactions);
  CHECK(split.train.offsets == std::vector<Index>{0, 8, 9, 11});
  CHECK(split.validation.targets == std::vector<ItemId>{8, 11});
  CHECK(split.test.targets == std::vector<ItemId>{9, 12});
  CHECK(split.too_short == 1);
  CHECK(simgr::data::leakage(split, interactions).sound());
  const auto half = simgr::data::ratio_split(interactions, {.train = 0.5, .validation = 0.2});
  CHECK(half.validation.targets == std::vector<ItemId>{5, 6, 11});
  CHECK(half.test.targets == std::vector<ItemId>{7, 8, 9, 12});
  CHECK(list(half.test.histories[1]) == std::vector<ItemId>{0, 1, 2, 3, 4, 5, 6, 7});
  for (const simgr::data::Ratio& ratio :
       {simgr::data::Ratio{0, 0.1}, simgr::data::Ratio{0.5, 0.5}, simgr::data::Ratio{0.9, -0.1}}) {
    CHECK_FALSE(simgr::data::try_ratio_split(interactions, ratio).ok());
  }
}

TEST_CASE("a split by time trains on nothing that came later for anybody") {
  const auto interactions = of({{0, 1, 2, 3}, {4, 5}, {6, 7, 8}}, {1, 5, 6, 9, 7, 8, 1, 2, 9});
  const auto split = simgr::data::global_time_split(interactions, 5, 8);
  CHECK(split.train.offsets == std::vector<Index>{0, 1, 1, 3});
  CHECK(split.train.values == std::vector<ItemId>{0, 6, 7});
  CHECK(split.validation.targets == std::vector<ItemId>{1, 2});  // item 4 has no history
  CHECK(split.test.targets == std::vector<ItemId>{3, 5, 8});
  CHECK(simgr::data::leakage(split, interactions).sound());
  CHECK_FALSE(simgr::data::try_global_time_split(interactions, 8, 5).ok());
  CHECK_FALSE(simgr::data::try_global_time_split(interactions, 100, 200).ok());
  CHECK_FALSE(simgr::data::try_global_time_split(of({{1, 2, 3}}), 1, 2).ok());
}

TEST_CASE("one history so long that its cases fit no memory is refused") {
  std::vector<ItemId> history(300000);
  std::vector<std::int64_t> times(history.size());
  std::iota(times.begin(), times.end(), 0);
  const auto interactions = of({{1, 2, 3}, history}, [&] {
    auto all = times;
    all.insert(all.begin(), {0, 1, 2});
    return all;
  }());
  for (const auto& split : {simgr::data::try_ratio_split(interactions),
                            simgr::data::try_global_time_split(interactions, 1, 2),
                            simgr::data::try_global_time_split(interactions, 1, 299999)}) {
    REQUIRE_FALSE(split.ok());
    const std::string sentence = split.error().what();
    CHECK_MESSAGE(sentence.find("user 1, who has 300000 items") != std::string::npos, sentence);
  }
  CHECK(simgr::data::try_leave_one_out(interactions).ok());
}

TEST_CASE("leaks that are planted are found") {
  const auto interactions = of({{1, 2, 3, 4}, {5, 6, 7, 5}});
  const auto sound = simgr::data::leave_one_out(interactions);
  CHECK(simgr::data::leakage(sound, interactions).repeats == 1);  // item 5 again
  auto split = sound;
  split.train = {};
  split.train.push_back(std::vector<ItemId>{1, 2, 3, 4});
  split.train.push_back(std::vector<ItemId>{5, 6});
  auto found = simgr::data::leakage(split, interactions);
  CHECK(found.in_train == 2);
  CHECK_FALSE(found.sound());
  split = sound;
  split.train.values = {1, 3, 5, 6};  // not how the history begins
  CHECK(simgr::data::leakage(split, interactions).unrelated == 2);
  split = sound;
  split.test.histories = {};
  split.test.histories.push_back(std::vector<ItemId>{1, 2, 3, 4});  // the target itself is known
  split.test.histories.push_back(std::vector<ItemId>{5, 6, 7});
  CHECK(simgr::data::leakage(split, interactions).in_history == 1);
  split = sound;
  split.test.targets[0] = 20;
  CHECK(simgr::data::leakage(split, interactions).out_of_range == 1);
}
