// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/topk.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/ranker/seen_items.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;

/// The definition: all ids sorted by score descending, id ascending, cut at k.
std::vector<ItemId> sorted_ids(const std::vector<float>& scores, std::size_t k) {
  std::vector<ItemId> ids(scores.size());
  std::iota(ids.begin(), ids.end(), ItemId{0});
  std::stable_sort(ids.begin(), ids.end(), [&](ItemId a, ItemId b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  ids.resize(std::min(k, ids.size()));
  return ids;
}

std::vector<ItemId> top_ids(const std::vector<float>& scores, std::size_t k) {
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  std::vector<ItemId> ids(k);
  std::vector<float> best(k);
  const Index found = simgr::cpu::top_k(
      ctx, {scores.data(), {static_cast<Index>(scores.size())}}, simgr::ranker::RowRule{},
      {ids.data(), {static_cast<Index>(k)}}, {best.data(), {static_cast<Index>(k)}});
  ids.resize(static_cast<std::size_t>(found));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(best[i] == scores[static_cast<std::size_t>(ids[i])]);
  }
  return ids;
}

}  // namespace

TEST_CASE("The top k of 20,000 random rows, most with ties, are those of a stable sort") {
  std::mt19937 rng(1);
  for (int round = 0; round < 20000; ++round) {
    const std::size_t items = rng() % (round % 100 == 0 ? 2000 : 150);
    const std::size_t k = rng() % (items + 5);
    const int levels = 1 + static_cast<int>(rng() % 200);
    std::vector<float> scores(items);
    for (float& score : scores) {
      score = (static_cast<float>(rng() % static_cast<unsigned>(levels)) -
               static_cast<float>(levels) / 2) *
              0.37f;
    }
    REQUIRE(top_ids(scores, k) == sorted_ids(scores, k));
  }
}

TEST_CASE("Zero and minus zero are one score, and infinities have their places") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(top_ids({-0.0f, 0.0f, -0.0f}, 3) == std::vector<ItemId>{0, 1, 2});
  CHECK(top_ids({-inf, 1, inf, -inf, inf}, 5) == std::vector<ItemId>{2, 4, 1, 0, 3});
  CHECK(top_ids({-inf, -inf, -inf}, 2) == std::vector<ItemId>{0, 1});
}

TEST_CASE("Rising, falling and constant rows") {
  std::vector<float> rising(1000), falling(1000);
  std::iota(rising.begin(), rising.end(), -500.0f);
  std::copy(rising.rbegin(), rising.rend(), falling.begin());
  for (const std::size_t k : {1u, 2u, 10u, 64u, 999u, 1000u}) {
    CHECK(top_ids(rising, k) == sorted_ids(rising, k));
    CHECK(top_ids(falling, k) == sorted_ids(falling, k));
    CHECK(top_ids(std::vector<float>(1000, 0.5f), k) ==
          sorted_ids(std::vector<float>(1000, 0.5f), k));
  }
}

TEST_CASE("More places than items give as many as there are, and no place gives none") {
  CHECK(top_ids({1, 3, 2}, 10) == std::vector<ItemId>{1, 2, 0});
  CHECK(top_ids({}, 3).empty());
  CHECK(top_ids({1, 2}, 0).empty());
}

TEST_CASE("Keys order scores and ids and give both back") {
  using simgr::cpu::rank_key;
  CHECK(rank_key(1, 5) > rank_key(0.5f, 0));
  CHECK(rank_key(1, 5) > rank_key(1, 6));
  CHECK(rank_key(-1, 0) > rank_key(-2, 0));
  CHECK(rank_key(0.0f, 7) == rank_key(-0.0f, 7));
  const ItemId last = std::numeric_limits<ItemId>::max();
  for (const float score : {-3.5f, 0.0f, 1e-40f, 2.0f, -std::numeric_limits<float>::infinity()}) {
    CHECK(simgr::cpu::key_score(rank_key(score, last)) == score);
    CHECK(simgr::cpu::key_id(rank_key(score, last)) == last);
  }
}

TEST_CASE("Merged halves are the whole, in whatever order they were offered") {
  std::mt19937 rng(2);
  for (int round = 0; round < 500; ++round) {
    std::vector<float> scores(60);
    for (float& score : scores) { score = static_cast<float>(rng() % 20); }
    std::vector<ItemId> order(scores.size());
    std::iota(order.begin(), order.end(), ItemId{0});
    std::shuffle(order.begin(), order.end(), rng);
    std::uint64_t first[7], second[7];
    simgr::cpu::BestItems a(first), b(second);
    for (std::size_t i = 0; i < order.size(); ++i) {
      (i % 3 == 0 ? a : b).offer(scores[static_cast<std::size_t>(order[i])], order[i]);
    }
    a.merge(b);
    std::vector<ItemId> ids(7);
    CHECK(a.finish(ids, {}) == 7);
    REQUIRE(ids == sorted_ids(scores, 7));
  }
}

TEST_CASE("NaN of either sign comes last, by id, and keeps no number out") {
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> scores(300, std::copysign(nan, 1.0f));
  for (std::size_t i = 1; i < scores.size(); i += 2) { scores[i] = std::copysign(nan, -1.0f); }
  scores[70] = -inf;
  scores[71] = 1;
  scores[299] = inf;
  for (const std::size_t k : {1u, 2u, 3u, 5u, 40u, 300u}) {
    simgr::Arena arena;
    simgr::cpu::Context ctx{arena};
    std::vector<ItemId> ids(k);
    std::vector<float> best(k);
    const auto length = static_cast<Index>(k);
    REQUIRE(simgr::cpu::top_k(ctx, {scores.data(), {300}}, simgr::ranker::RowRule{},
                              {ids.data(), {length}}, {best.data(), {length}}) == length);
    std::vector<ItemId> expected = {299, 71, 70};
    for (ItemId item = 0; item < 299; ++item) {
      if (item != 70 && item != 71) {
        expected.push_back(item);
      }
    }
    expected.resize(k);
    CHECK(ids == expected);
    CHECK(std::isnan(best.back()) == (k > 3));
  }
}

TEST_CASE("A scan meets NaN whatever the bound") {
  std::vector<float> scores(200, 0.0f);
  scores[131] = std::numeric_limits<float>::quiet_NaN();
  std::vector<Index> met;
  simgr::cpu::visit_reaching(
      scores.data(), 200, [] { return 1.0f; }, [&](Index i) { met.push_back(i); });
  CHECK(met == std::vector<Index>{131});
}
