// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/relations.hpp>

#include <doctest/doctest.h>

#include <simgr/cpu/thread_pool.hpp>
#include <simgr/data/npy.hpp>
#include <simgr/data/sequences.hpp>
#include <simgr/data/split.hpp>

#include <support/shared_folder.hpp>

using namespace simgr;

namespace {

using Items = std::vector<ItemId>;

Items list_of(const Ragged<ItemId>& lists, Index item) {
  return Items(lists[item].begin(), lists[item].end());
}
Ragged<ItemId> lists_of(const std::vector<Items>& lists) {
  Ragged<ItemId> all;
  for (const Items& each : lists) { all.push_back(each); }
  return all;
}

struct Counts {
  Index pairs = 0, sum = 0;
};
Counts count_pairs(const Ragged<ItemId>& histories, Index items) {
  Counts all;
  train::visit_co_occurrences(histories, items, 5,
                              [&](ItemId, std::span<const train::CountedNeighbour> found) {
                                all.pairs += std::ssize(found);
                                for (const auto& each : found) { all.sum += each.count; }
                              });
  return all;
}

}  // namespace

TEST_CASE("items that stand near each other are neighbours, the most frequent first") {
  // 0 and 1 meet twice within one place, 0 and 2 at two places' distance.
  const Ragged<ItemId> histories = lists_of({{0, 1, 2}, {1, 0}, {3, 3}, {}});
  const auto near = train::collaborative_neighbours(histories, 5, {.window = 1, .keep = 9});
  CHECK(near.sequences() == 5);
  CHECK(list_of(near, 0) == Items{1});
  CHECK(list_of(near, 1) == Items{0, 2});
  CHECK(list_of(near, 2) == Items{1});
  CHECK(list_of(near, 3).empty());  // an item is no neighbour of itself
  CHECK(list_of(near, 4).empty());  // of no history
  const auto wide = train::collaborative_neighbours(histories, 5, {.window = 2, .keep = 9});
  CHECK(list_of(wide, 2) == Items{0, 1});  // as often, and as frequent: by id
  const auto one = train::collaborative_neighbours(histories, 5, {.window = 2, .keep = 1});
  CHECK(list_of(one, 0) == Items{1});
  // Of equal counts the more frequent item comes first.
  const auto tied = train::collaborative_neighbours(lists_of({{1, 0, 2}, {2, 3}}), 4);
  CHECK(list_of(tied, 0) == Items{2, 1});
}

TEST_CASE("short lists are filled along semantic neighbours, in the order of ids") {
  const auto own = lists_of({{}, {3}, {0, 1}, {}});
  const auto semantic = lists_of({{1, 2}, {0}, {3}, {0}});
  const auto filled = train::backfilled(own, semantic, 2);
  CHECK(list_of(filled, 0) == Items{3, 1});  // of item 1, then of item 2 without item 0 itself
  CHECK(list_of(filled, 1) == Items{3});     // item 0 now lists 3 and 1: nothing new
  CHECK(list_of(filled, 2) == Items{0, 1});
  CHECK(list_of(filled, 3) == Items{1});  // from what item 0 was given
  CHECK(list_of(train::backfilled(own, lists_of({{}, {}, {}, {}}), 2), 0).empty());
  CHECK_THROWS_AS(train::backfilled(own, lists_of({{1}}), 2), ShapeError);
}

TEST_CASE("semantic neighbours are the nearest by cosine, and what has no text is apart") {
  const float values[] = {1, 0, 2, .1f, 0, 1, 0, 0, -1, 0, 5, .25f};
  const Matrix<const float> vectors(values, {6, 2});
  const auto near = train::semantic_neighbours(vectors, 3);
  CHECK(list_of(near, 0) == Items{1, 5, 2});
  CHECK(list_of(near, 1) == Items{5, 0, 2});  // of the same direction, then the next one
  CHECK(list_of(near, 3).empty());
  CHECK(list_of(train::semantic_neighbours(vectors, 99), 4) == Items{2, 1, 5, 0});
  cpu::ThreadPool pool(3);
  Rng rng(4);
  OwnedMatrix<float> many(700, 5);
  for (float& value : many.values) { value = static_cast<float>(rng.normal()); }
  const auto alone = train::semantic_neighbours(std::as_const(many).view(), 7);
  CHECK(train::semantic_neighbours(std::as_const(many).view(), 7, pool).values == alone.values);
  many.values[8] = INFINITY;
  CHECK_THROWS_WITH_AS(train::semantic_neighbours(std::as_const(many).view(), 7),
                       "vectors: item 1: found a number that is not finite", DataError);
}

TEST_CASE("what cannot be counted is refused") {
  CHECK_THROWS_WITH_AS(train::collaborative_neighbours(lists_of({{0, 4}}), 4),
                       "histories: item 4 is not one of 0 to 3", DataError);
  CHECK_THROWS_AS(train::collaborative_neighbours(lists_of({{0, 1}}), 4, {.window = 0}),
                  ConfigError);
}

TEST_CASE("the neighbours of real data are those that were counted apart") {
  const auto shared = simgr_test::shared_folder();
  if (!shared) {
    return;
  }
  struct Expected {
    const char* folder;
    Counts released, safe;  // with the validation items, and without
    Index none, five, ten;
    std::vector<Items> of_0_1_100;
  };
  const Expected sets[] = {
      {"amazon-beauty-2014",
       {876710, 1104824},
       {723748, 918284},
       9,
       12081,
       12008,
       {{443, 6297, 2960, 669, 1210, 5401, 194, 1895, 612, 5593},
        {5642, 8377, 5477, 2, 1805, 1897, 2673, 5711, 10954, 2676},
        {8669, 278, 3655, 102, 98, 97, 300, 861, 104, 23}}},
      {"amazon-sports-2014",
       {1420640, 1562282},
       {1160790, 1265736},
       10,
       18329,
       18212,
       {{28, 89, 56, 86, 22, 53, 1, 85, 15, 150},
        {85, 819, 28, 96, 1931, 2382, 72, 2045, 6253, 83},
        {96, 93, 86, 4239, 1155, 6253, 28, 46, 129, 89}}},
  };
  for (const Expected& expected : sets) {
    CAPTURE(expected.folder);
    const auto file = *shared / "data" / expected.folder / "sequences.tsv.gz";
    const auto split = data::leave_one_out(data::read_sequences(file.string()));
    const Ragged<ItemId>& before_test = split.test.histories;
    const Counts released = count_pairs(before_test, split.items),
                 safe = count_pairs(split.train, split.items);
    CHECK(released.pairs == expected.released.pairs);
    CHECK(released.sum == expected.released.sum);
    CHECK(safe.pairs == expected.safe.pairs);
    CHECK(safe.sum == expected.safe.sum);
    const auto near = train::collaborative_neighbours(before_test, split.items);
    Index none = 0, five = 0, ten = 0;
    for (Index item = 0; item < split.items; ++item) {
      none += near[item].empty() ? 1 : 0;
      five += near[item].size() >= 5 ? 1 : 0;
      ten += near[item].size() >= 10 ? 1 : 0;
    }
    CHECK(none == expected.none);
    CHECK(five == expected.five);
    CHECK(ten == expected.ten);
    CHECK(list_of(near, 0) == expected.of_0_1_100[0]);
    CHECK(list_of(near, 1) == expected.of_0_1_100[1]);
    CHECK(list_of(near, 100) == expected.of_0_1_100[2]);
  }
}
