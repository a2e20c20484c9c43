// SPDX-License-Identifier: Apache-2.0
#include <simgr/ranker/exhaustive.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/cpu/rank_products.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;
using simgr::ranker::ItemFilter;
using simgr::ranker::Seen;
using Lists = simgr::Ragged<ItemId>;

struct TwoThreads {
  template <class F>
  void for_each(Index count, F&& f) {
    std::thread odd([&] {
      for (Index i = 1; i < count; i += 2) { f(i); }
    });
    for (Index i = 0; i < count; i += 2) { f(i); }
    odd.join();
  }
};

struct Ranking {
  std::vector<ItemId> ids;
  std::vector<float> scores;
  bool operator==(const Ranking&) const = default;
};

struct Problem {
  Index rows, items, width;
  std::vector<float> queries, candidates;
};

Problem random_problem(std::mt19937& rng, Index rows, Index items, Index width, int levels,
                       float scale = 1) {
  Problem problem{rows, items, width, {}, {}};
  problem.queries.resize(static_cast<std::size_t>(rows * width));
  problem.candidates.resize(static_cast<std::size_t>(items * width));
  std::normal_distribution<float> normal;
  for (auto* values : {&problem.queries, &problem.candidates}) {
    for (float& value : *values) {
      value = scale * (levels == 0 ? normal(rng)
                                   : static_cast<float>(rng() % static_cast<unsigned>(levels)) -
                                         static_cast<float>(levels / 2));
    }
  }
  return problem;
}

template <class E>
std::vector<Ranking> rank(const Problem& p, Index k, const ItemFilter& filter, E&& executor,
                          Index shards, Index first = 0, Index count = -1) {
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  const Index rows = count < 0 ? p.rows : count;
  std::vector<ItemId> ids(static_cast<std::size_t>(rows * k));
  std::vector<float> scores(ids.size());
  std::vector<Index> found(static_cast<std::size_t>(rows));
  simgr::ranker::rank_products(
      ctx, simgr::MatrixArg<float>{p.queries.data() + first * p.width, {rows, p.width}},
      simgr::MatrixArg<float>{p.candidates.data(), {p.items, p.width}}, filter,
      simgr::Matrix<ItemId>{ids.data(), {rows, k}}, simgr::Matrix<float>{scores.data(), {rows, k}},
      simgr::Vector<Index>{found.data(), {rows}}, executor, shards);
  std::vector<Ranking> rankings;
  for (Index row = 0; row < rows; ++row) {
    const Index n = found[static_cast<std::size_t>(row)];
    rankings.push_back({{ids.begin() + row * k, ids.begin() + row * k + n},
                        {scores.begin() + row * k, scores.begin() + row * k + n}});
  }
  return rankings;
}

/// The same scores from a scorer that gives tiles and tells nobody that they are products.
struct TilesOfProducts {
  const Problem& p;
  Index rows() const { return p.rows; }
  Index candidates() const { return p.items; }
  void tile(simgr::cpu::Context&, Index first, Index count, simgr::Matrix<float> scores) const {
    for (Index i = 0; i < count; ++i) {
      for (Index item = 0; item < p.items; ++item) {
        scores(i, item) = simgr::cpu::exact_product(p.queries.data() + (first + i) * p.width,
                                                    p.candidates.data() + item * p.width, p.width);
      }
    }
  }
};

std::vector<Ranking> rank_by_tiles(const Problem& p, Index k, const ItemFilter& filter) {
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  std::vector<ItemId> ids(static_cast<std::size_t>(p.rows * k));
  std::vector<float> scores(ids.size());
  std::vector<Index> found(static_cast<std::size_t>(p.rows));
  simgr::ranker::Exhaustive::rank(ctx, TilesOfProducts{p}, filter, {ids.data(), {p.rows, k}},
                                  {scores.data(), {p.rows, k}}, {found.data(), {p.rows}});
  std::vector<Ranking> rankings;
  for (Index row = 0; row < p.rows; ++row) {
    const Index n = found[static_cast<std::size_t>(row)];
    rankings.push_back({{ids.begin() + row * k, ids.begin() + row * k + n},
                        {scores.begin() + row * k, scores.begin() + row * k + n}});
  }
  return rankings;
}

std::set<ItemId> set_of(const Lists& lists, Index row) {
  if (lists.sequences() == 0) {
    return {};
  }
  const auto list = lists[lists.sequences() == 1 ? 0 : row];
  return {list.begin(), list.end()};
}

/// The definition, without any of the library's parts: every product in double, every item sorted.
Ranking oracle(const Problem& p, Index row, Index k, Seen seen, const Lists& histories,
               const Lists& deny, const Lists& allow) {
  const auto met = set_of(histories, row), denied = set_of(deny, row), allowed = set_of(allow, row);
  std::vector<std::pair<float, ItemId>> order;
  for (Index item = 0; item < p.items; ++item) {
    const auto id = static_cast<ItemId>(item);
    if (denied.count(id) != 0 || (allow.sequences() != 0 && allowed.count(id) == 0) ||
        (seen == Seen::remove && met.count(id) != 0)) {
      continue;
    }
    double lane[8] = {};
    for (Index j = 0; j < p.width; ++j) {
      lane[j % 8] += double{p.queries[static_cast<std::size_t>(row * p.width + j)]} *
                     double{p.candidates[static_cast<std::size_t>(item * p.width + j)]};
    }
    const auto score = static_cast<float>(((lane[0] + lane[4]) + (lane[2] + lane[6])) +
                                          ((lane[1] + lane[5]) + (lane[3] + lane[7])));
    order.emplace_back(seen == Seen::zero && met.count(id) != 0 ? 0.0f : score, id);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  Ranking ranking;
  for (std::size_t i = 0; i < order.size() && static_cast<Index>(i) < k; ++i) {
    ranking.scores.push_back(order[i].first);
    ranking.ids.push_back(order[i].second);
  }
  return ranking;
}

Lists random_lists(std::mt19937& rng, Index rows, Index items, Index longest) {
  Lists lists;
  for (Index row = 0; row < rows; ++row) {
    std::vector<ItemId> list(rng() % static_cast<unsigned>(longest + 1));
    for (ItemId& id : list) {  // repeated ids and ids outside the catalogue among them
      id = static_cast<ItemId>(rng() % static_cast<unsigned>(items + 2)) - 1;
    }
    lists.push_back(list);
  }
  return lists;
}

}  // namespace

TEST_CASE("2,000 random catalogues with ties, filters, shards and threads rank as the definition") {
  std::mt19937 rng(1);
  simgr::Serial serial;
  TwoThreads threads;
  for (int round = 0; round < 2000; ++round) {
    const bool large = round % 50 == 0;
    const Index rows = 1 + static_cast<Index>(rng() % (large ? 300 : 6));
    const Index items = 1 + static_cast<Index>(rng() % (large ? 1300 : 90));
    const Index width = 1 + static_cast<Index>(rng() % 40);
    const Index k = 1 + static_cast<Index>(rng() % 25);
    const auto p = random_problem(rng, rows, items, width, round % 3 == 0 ? 0 : 3);
    const auto seen = static_cast<Seen>(rng() % 3);
    const Lists histories = random_lists(rng, rows, items, 12);
    const Lists deny =
        random_lists(rng, rng() % 3 == 0 ? rows : static_cast<Index>(rng() % 2), items, 10);
    const Lists allow =
        rng() % 3 == 0 ? random_lists(rng, rng() % 2 == 0 ? rows : 1, items, 30) : Lists{};
    const ItemFilter filter{seen, histories, deny, allow};
    const auto shards = static_cast<Index>(1 + rng() % 5);
    const auto rankings =
        round % 8 == 0 ? rank(p, k, filter, threads, shards) : rank(p, k, filter, serial, shards);
    const auto by_tiles = rank_by_tiles(p, k, filter);
    for (Index row = 0; row < rows; ++row) {
      const Ranking expected = oracle(p, row, k, seen, histories, deny, allow);
      REQUIRE(rankings[static_cast<std::size_t>(row)] == expected);
      REQUIRE(by_tiles[static_cast<std::size_t>(row)] == expected);
    }
  }
}

TEST_CASE("A row alone, in any batch and in any number of shards gives the same bits") {
  std::mt19937 rng(2);
  const auto p = random_problem(rng, 300, 1500, 64, 0);
  const auto whole = rank(p, 20, {}, simgr::Serial{}, 1);
  CHECK(rank(p, 20, {}, TwoThreads{}, 2) == whole);
  CHECK(rank(p, 20, {}, TwoThreads{}, 7) == whole);
  for (const Index count : {1, 2, 3, 5, 17, 256}) {
    for (Index first = 0; first + count <= p.rows; first += 97) {
      const auto part = rank(p, 20, {}, simgr::Serial{}, first % 2 == 0 ? 1 : 4, first, count);
      for (Index i = 0; i < count; ++i) {
        REQUIRE(part[static_cast<std::size_t>(i)] == whole[static_cast<std::size_t>(first + i)]);
      }
    }
  }
}

TEST_CASE("More items do not change the score of any other") {
  std::mt19937 rng(3);
  auto p = random_problem(rng, 5, 700, 33, 0);
  const auto before = rank(p, 700, {}, simgr::Serial{}, 1);
  p.candidates.resize(p.candidates.size() + 33, 0.5f);
  ++p.items;
  auto after = rank(p, 701, {}, simgr::Serial{}, 1);
  for (std::size_t row = 0; row < 5; ++row) {
    const auto added = std::find(after[row].ids.begin(), after[row].ids.end(), 700);
    REQUIRE(added != after[row].ids.end());
    after[row].scores.erase(after[row].scores.begin() + (added - after[row].ids.begin()));
    after[row].ids.erase(added);
    CHECK(after[row] == before[row]);
  }
}

TEST_CASE("Scores that differ by less than the rounding of a float product keep their order") {
  // Candidates are one vector plus a change far below what a float sum resolves.
  std::mt19937 rng(4);
  for (const float scale : {1.0f, 1e-18f, 1e-22f, 1e15f}) {
    auto p = random_problem(rng, 3, 600, 47, 0, scale);
    for (Index item = 1; item < p.items; ++item) {
      for (Index j = 0; j < p.width; ++j) {
        p.candidates[static_cast<std::size_t>(item * p.width + j)] =
            p.candidates[static_cast<std::size_t>(j)];
      }
      p.candidates[static_cast<std::size_t>(item * p.width + item % p.width)] *=
          1 + 1.2e-7f * static_cast<float>(rng() % 9);
    }
    for (Index row = 0; row < p.rows; ++row) {
      CHECK(rank(p, 50, {}, simgr::Serial{}, 1)[static_cast<std::size_t>(row)] ==
            oracle(p, row, 50, Seen::keep, {}, {}, {}));
    }
  }
}

TEST_CASE("Places beyond the catalogue stay empty") {
  std::mt19937 rng(5);
  const auto p = random_problem(rng, 2, 3, 4, 3);
  CHECK(rank(p, 10, {}, simgr::Serial{}, 1)[0].ids.size() == 3);
  const Lists all = [] {
    Lists lists;
    const ItemId ids[] = {0, 1, 2};
    lists.push_back(ids);
    return lists;
  }();
  CHECK(rank(p, 10, ItemFilter{Seen::keep, {}, all, {}}, simgr::Serial{}, 1)[1].ids.empty());
  CHECK(rank(p, 10, {}, simgr::Serial{}, 1, 0, 0).empty());
}
