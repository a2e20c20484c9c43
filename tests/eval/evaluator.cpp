// SPDX-License-Identifier: Apache-2.0
#include <simgr/eval/evaluator.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace {

using namespace simgr::eval;
using simgr::Index;
using simgr::ItemId;
using simgr::ranker::Seen;

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

struct Problem {
  Index users, items, width;
  simgr::data::Evaluation evaluation;
  std::vector<Index> popularity;
  std::vector<float> queries, candidates, scores;

  simgr::MatrixArg<float> query_view() const { return {queries.data(), {users, width}}; }
  simgr::MatrixArg<float> candidate_view() const { return {candidates.data(), {items, width}}; }
  auto scorer() const {
    return [this](Index first, Index count, simgr::Matrix<float> out) {
      std::copy_n(scores.begin() + first * items, count * items, out.begin());
    };
  }
};

Problem random_problem(std::mt19937& rng, Index users, Index items, Index width, unsigned levels) {
  Problem p{users, items, width, {}, {}, {}, {}, {}};
  std::normal_distribution<float> normal;
  const auto draw = [&](Index count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {
      value = levels == 0 ? normal(rng) : static_cast<float>(rng() % levels) - 1;
    }
    return values;
  };
  p.queries = draw(users * width);
  p.candidates = draw(items * width);
  for (Index u = 0; u < users; ++u) {
    std::vector<ItemId> history(rng() % 6);
    for (ItemId& id : history) { id = static_cast<ItemId>(rng() % static_cast<unsigned>(items)); }
    p.evaluation.histories.push_back(history);
    p.evaluation.targets.push_back(static_cast<ItemId>(rng() % static_cast<unsigned>(items)));
    p.evaluation.users.push_back(static_cast<simgr::UserId>(1000 + u));
    for (Index i = 0; i < items; ++i) {
      p.scores.push_back(
          simgr::cpu::exact_product(&p.queries[static_cast<std::size_t>(u * width)],
                                    &p.candidates[static_cast<std::size_t>(i * width)], width));
    }
  }
  for (Index i = 0; i < items; ++i) { p.popularity.push_back(static_cast<Index>(rng() % 20)); }
  return p;
}

bool equal(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}
bool equal(const Accuracy& a, const Accuracy& b) {
  return equal(a.hr, b.hr) && equal(a.ndcg, b.ndcg) && equal(a.mrr, b.mrr);
}
/// Everything but the time.
bool equal(const Metrics& a, const Metrics& b) {
  bool same = a.users == b.users && a.items == b.items && equal(a.mrr, b.mrr) && a.ties == b.ties &&
              a.head_users == b.head_users && a.ranks == b.ranks &&
              a.cutoffs.size() == b.cutoffs.size();
  for (std::size_t i = 0; same && i < a.cutoffs.size(); ++i) {
    const MetricsAt &x = a.cutoffs[i], &y = b.cutoffs[i];
    same = x.k == y.k && equal(x.all, y.all) && equal(x.head, y.head) && equal(x.tail, y.tail) &&
           x.frequency == y.frequency && equal(x.lists.entropy, y.lists.entropy) &&
           equal(x.lists.gini, y.lists.gini) && equal(x.lists.coverage, y.lists.coverage) &&
           equal(x.mean_popularity, y.mean_popularity) &&
           equal(x.group_unfairness, y.group_unfairness);
  }
  return same;
}

/// Every user sorts the whole catalogue.
Metrics oracle(const Problem& p, const EvaluateOptions& options) {
  Metrics metrics;
  metrics.users = p.users;
  metrics.items = p.items;
  const auto head = head_items(p.popularity);
  std::vector<double> of_head, of_tail;
  for (const Index k : options.cutoffs) {
    MetricsAt at;
    at.k = k;
    at.frequency.assign(static_cast<std::size_t>(p.items), 0);
    metrics.cutoffs.push_back(at);
  }
  for (Index u = 0; u < p.users; ++u) {
    std::vector<float> scores(p.scores.begin() + u * p.items, p.scores.begin() + (u + 1) * p.items);
    const auto history = p.evaluation.histories[u];
    const std::set<ItemId> met(history.begin(), history.end());
    for (const ItemId item : met) {
      if (options.seen != Seen::keep) {
        scores[static_cast<std::size_t>(item)] =
            options.seen == Seen::zero ? 0.0f : -std::numeric_limits<float>::infinity();
      }
    }
    const ItemId target = p.evaluation.targets[static_cast<std::size_t>(u)];
    const Standing standing = standing_of(scores, target);
    metrics.ranks.push_back(options.half_ties ? standing.half_tie_rank() : standing.rank());
    metrics.ties += standing.ties > 0 ? 1 : 0;
    (head[static_cast<std::size_t>(target)] != 0 ? of_head : of_tail)
        .push_back(metrics.ranks.back());
    std::vector<std::pair<float, ItemId>> order;
    for (Index i = 0; i < p.items; ++i) {
      const auto id = static_cast<ItemId>(i);
      if (options.seen != Seen::remove || met.count(id) == 0) {
        order.emplace_back(-scores[static_cast<std::size_t>(i)], id);
      }
    }
    std::sort(order.begin(), order.end());
    for (MetricsAt& at : metrics.cutoffs) {
      for (Index place = 0; place < at.k && place < static_cast<Index>(order.size()); ++place) {
        ++at.frequency[static_cast<std::size_t>(order[static_cast<std::size_t>(place)].second)];
      }
    }
  }
  metrics.head_users = static_cast<Index>(of_head.size());
  metrics.mrr = mean_reciprocal_rank(metrics.ranks);
  for (MetricsAt& at : metrics.cutoffs) {
    at.all = accuracy(metrics.ranks, at.k);
    at.head = accuracy(of_head, at.k);
    at.tail = accuracy(of_tail, at.k);
    at.lists = spread(at.frequency);
    at.mean_popularity = mean_popularity(at.frequency, p.popularity);
    at.group_unfairness = mean_group_unfairness(at.frequency, p.popularity, head);
  }
  return metrics;
}

}  // namespace

TEST_CASE("1,000 random evaluations, scored and by products, equal sorting every row" *
          doctest::test_suite("heavy")) {
  std::mt19937 rng(1);
  for (int round = 0; round < 1000; ++round) {
    const bool large = round % 40 == 0;
    const Index users = 1 + static_cast<Index>(rng() % (large ? 300 : 8));
    const Index items = 1 + static_cast<Index>(rng() % (large ? 1100 : 80));
    const auto p = random_problem(rng, users, items, 1 + static_cast<Index>(rng() % 20),
                                  round % 3 == 0 ? 0 : 3);
    EvaluateOptions options;
    options.seen = static_cast<Seen>(rng() % 3);
    options.half_ties = rng() % 2 == 0;
    options.tile_rows = 1 + static_cast<Index>(rng() % 9);
    options.shards = 1 + static_cast<Index>(rng() % 4);
    const Metrics expected = oracle(p, options);
    REQUIRE(equal(evaluate(p.evaluation, items, p.popularity, options, p.scorer()), expected));
    REQUIRE(equal(evaluate(p.evaluation, p.popularity, options, p.query_view(), p.candidate_view()),
                  expected));
    if (round % 10 == 0) {
      REQUIRE(equal(evaluate(p.evaluation, items, p.popularity, options, p.scorer(), TwoThreads{}),
                    expected));
      REQUIRE(equal(evaluate(p.evaluation, p.popularity, options, p.query_view(),
                             p.candidate_view(), TwoThreads{}),
                    expected));
    }
  }
}

TEST_CASE("A model that scores all items alike ranks by id and reports every user as tied") {
  std::mt19937 rng(2);
  auto p = random_problem(rng, 40, 700, 5, 0);
  std::fill(p.candidates.begin(), p.candidates.end(), 0.3f);
  const Metrics metrics =
      evaluate(p.evaluation, p.popularity, {}, p.query_view(), p.candidate_view());
  CHECK(metrics.ties == 40);
  for (std::size_t u = 0; u < 40; ++u) {
    CHECK(metrics.ranks[u] == 1 + static_cast<double>(p.evaluation.targets[u]));
  }
  CHECK(metrics.at(10).lists.coverage == 10.0 / 700);
  CHECK(metrics.at(10).frequency[9] == 40);
  CHECK(metrics.at(10).frequency[10] == 0);
}

TEST_CASE("Without popularity its metrics are absent") {
  std::mt19937 rng(3);
  const auto p = random_problem(rng, 5, 30, 4, 0);
  const Metrics metrics = evaluate(p.evaluation, 30, {}, {}, p.scorer());
  CHECK(std::isnan(metrics.at(10).mean_popularity));
  CHECK(std::isnan(metrics.at(10).head.hr));
  CHECK_FALSE(std::isnan(metrics.at(10).all.hr));
  CHECK_THROWS_AS(metrics.at(7), simgr::ConfigError);
}

namespace {

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const simgr::Error& error) { return error.what(); }
  return {};
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("NaN is an error that names user and item") {
  std::mt19937 rng(4);
  auto p = random_problem(rng, 20, 300, 4, 0);
  p.scores[7 * 300 + 123] = std::numeric_limits<float>::quiet_NaN();
  p.scores[7 * 300 + 200] = std::numeric_limits<float>::quiet_NaN();
  for (const Seen seen : {Seen::keep, Seen::zero, Seen::remove}) {
    const auto message = message_of([&] {
      EvaluateOptions options;
      options.seen = seen;
      evaluate(p.evaluation, 300, p.popularity, options, p.scorer());
    });
    CHECK(contains(message, "item 123"));
    CHECK(contains(message, "user 1007"));
  }
  p.evaluation.targets[7] = 200;  // the target's own score
  CHECK(contains(message_of([&] { evaluate(p.evaluation, 300, p.popularity, {}, p.scorer()); }),
                 "user 1007"));
  p.candidates[4 * 17 + 2] = std::numeric_limits<float>::infinity();
  CHECK(contains(message_of([&] {
                   evaluate(p.evaluation, p.popularity, {}, p.query_view(), p.candidate_view());
                 }),
                 "item 17"));
}

TEST_CASE("Ids outside the catalogue and impossible shapes are refused") {
  std::mt19937 rng(5);
  const auto p = random_problem(rng, 4, 10, 4, 0);
  auto wrong = p;
  wrong.evaluation.targets[2] = 10;
  CHECK(contains(message_of([&] { evaluate(wrong.evaluation, 10, p.popularity, {}, p.scorer()); }),
                 "target of user 1002: item 10"));
  wrong = p;
  wrong.evaluation.histories.clear();
  for (int u = 0; u < 4; ++u) { wrong.evaluation.histories.push_back(std::vector<ItemId>{-1}); }
  CHECK(contains(message_of([&] { evaluate(wrong.evaluation, 10, p.popularity, {}, p.scorer()); }),
                 "history of user 1000: item -1"));
  CHECK_THROWS_AS(evaluate(p.evaluation, 0, {}, {}, p.scorer()), simgr::DataError);
  CHECK_THROWS_AS(evaluate(p.evaluation, 9, p.popularity, {}, p.scorer()), simgr::Error);
  CHECK_THROWS_AS(evaluate(p.evaluation, p.popularity, {}, p.candidate_view(), p.candidate_view()),
                  simgr::ShapeError);
  EvaluateOptions options;
  options.cutoffs = {5, 0};
  CHECK_THROWS_AS(evaluate(p.evaluation, 10, p.popularity, options, p.scorer()),
                  simgr::ConfigError);
}

TEST_CASE("No user at all gives absent means, not a division by zero") {
  const simgr::data::Evaluation nobody;
  const Metrics metrics =
      evaluate(nobody, 10, {}, {}, [](Index, Index, simgr::Matrix<float>) { FAIL("called"); });
  CHECK(metrics.users == 0);
  CHECK(std::isnan(metrics.mrr));
  CHECK(std::isnan(metrics.at(10).all.hr));
}
