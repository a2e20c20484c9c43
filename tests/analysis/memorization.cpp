// SPDX-License-Identifier: Apache-2.0
#include <simgr/analysis/memorization.hpp>

#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <simgr/analysis/memgen.hpp>
#include <simgr/data/sequences.hpp>
#include <simgr/data/split.hpp>

#include <support/random_histories.hpp>
#include <support/shared_folder.hpp>

namespace {

using namespace simgr;
using analysis::CandidateOptions;

/// The definition with maps and a sort of everything.
std::vector<ItemId> naive_candidates(const Ragged<ItemId>& train, std::span<const ItemId> input,
                                     const CandidateOptions& options) {
  if (options.last > 0 && static_cast<std::size_t>(options.last) < input.size()) {
    input = input.last(static_cast<std::size_t>(options.last));
  }
  const std::set<ItemId> read(input.begin(), input.end());
  std::map<ItemId, Index> score;
  for (Index u = 0; u < train.sequences(); ++u) {
    for (std::size_t t = 0; t + 1 < train[u].size(); ++t) {
      if (read.contains(train[u][t])) {
        ++score[train[u][t + 1]];
      }
    }
  }
  std::vector<std::pair<Index, ItemId>> order;
  for (const auto& [item, count] : score) {
    if (options.keep_seen || !read.contains(item)) {
      order.emplace_back(-count, item);
    }
  }
  std::sort(order.begin(), order.end());
  std::vector<ItemId> best;
  for (const auto& [count, item] : order) {
    if (options.most == 0 || static_cast<Index>(best.size()) < options.most) {
      best.push_back(item);
    }
  }
  return best;
}

double rounded(double value) {
  return std::round(value * 1e4) / 1e4;
}
std::vector<double> row_of(const analysis::SystemMemorization& system) {
  return {rounded(system.ratio), rounded(system.all.recall), rounded(system.m.recall),
          rounded(system.n.recall)};
}
Index users_of_m(const std::vector<char>& covered) {
  return static_cast<Index>(std::count(covered.begin(), covered.end(), 1));
}

}  // namespace

TEST_CASE("Candidate sets are those of the definition, whatever the options") {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const auto train = simgr_test::random_histories(seed, 60, 25, 8);
    const auto inputs = simgr_test::random_histories(seed + 50, 40, 25, 8);
    const auto transitions = analysis::count_transitions(train, 25);
    for (const CandidateOptions options :
         {CandidateOptions{}, CandidateOptions{.last = 1}, CandidateOptions{.last = 3, .most = 4},
          CandidateOptions{.most = 0, .keep_seen = true},
          CandidateOptions{.most = 5, .keep_seen = true}}) {
      CAPTURE(options.last);
      CAPTURE(options.most);
      const auto sets = analysis::candidate_sets(transitions, inputs, options);
      REQUIRE(sets.sequences() == inputs.sequences());
      for (Index u = 0; u < inputs.sequences(); ++u) {
        const auto set = sets[u];
        CHECK(std::vector<ItemId>(set.begin(), set.end()) ==
              naive_candidates(train, inputs[u], options));
      }
    }
  }
  const auto none = analysis::count_transitions(Ragged<ItemId>{}, 3);
  CHECK_THROWS_AS(analysis::candidate_sets(none, Ragged<ItemId>{}, {.last = -1}), ConfigError);
  CHECK_THROWS_AS(analysis::candidate_sets(none, Ragged<ItemId>{}, {.most = -1}), ConfigError);
}

TEST_CASE("What everybody is given are the most frequent items that are not in the input") {
  Ragged<ItemId> inputs;
  inputs.push_back(std::vector<ItemId>{2, 2});
  inputs.push_back(std::span<const ItemId>{});
  const auto lists = analysis::popular_lists(std::vector<Index>{1, 5, 9, 5}, inputs, 3);
  CHECK(lists.values == std::vector<ItemId>{1, 3, 0, 2, 1, 3});
  CHECK(lists.offsets == std::vector<Index>{0, 3, 6});
  CHECK(analysis::popular_lists(std::vector<Index>{1, 1}, inputs, 3)[1].size() == 2);
}

TEST_CASE("A system is measured in both groups, short lists as lists with empty places") {
  Ragged<ItemId> candidates, lists;
  const std::vector<ItemId> targets{1, 2, 3, 4};
  const std::vector<std::vector<ItemId>> sets{{1, 7}, {8, 9, 2}, {}, {5}},
      listed{{7, 1, 0}, {0, 3}, {}, {5, 6, 4}};
  for (std::size_t u = 0; u < 4; ++u) {
    candidates.push_back(sets[u]);
    lists.push_back(listed[u]);
  }
  const auto covered = analysis::covered_targets(candidates, targets);
  CHECK(covered == std::vector<char>{1, 1, 0, 0});
  const auto at_2 = analysis::measure_memorization(lists, targets, candidates, covered, 2);
  CHECK(at_2.ratio == 3.0 / 8);  // 7 and 1, none, none, 5
  CHECK(at_2.short_lists == 1);
  CHECK(at_2.all.hits == 1);
  CHECK(at_2.m.users == 2);
  CHECK(at_2.m.recall == 0.5);
  CHECK(at_2.m.ndcg == doctest::Approx(0.5 / std::log2(3.0)));
  CHECK(at_2.n.recall == 0);
  const auto at_3 = analysis::measure_memorization(lists, targets, candidates, covered, 3);
  CHECK(at_3.short_lists == 2);
  CHECK(at_3.n.recall == 0.5);
  CHECK(at_3.n.ndcg == 0.25);
  CHECK(at_3.all.recall == 0.5);
  CHECK(at_3.all.ndcg == doctest::Approx((1 / std::log2(3.0) + 0.5) / 4));

  const auto gain = analysis::recall_gain(at_3, at_2);
  CHECK(gain.all == 0.25);
  CHECK(gain.m == 0);
  CHECK(gain.n == 0.5);
  CHECK(gain.share_m == 0);
  CHECK(gain.share_n == 1);
  CHECK(std::isnan(analysis::recall_gain(at_2, at_2).share_m));

  // A group of nobody has no recall.
  const std::vector<char> nobody(4, 0);
  CHECK(std::isnan(analysis::measure_memorization(lists, targets, candidates, nobody, 2).m.recall));
  CHECK_THROWS_AS(analysis::measure_memorization(lists, targets, candidates, covered, 0),
                  ConfigError);
  CHECK_THROWS_AS(analysis::measure_memorization(Ragged<ItemId>{}, targets, candidates, covered, 5),
                  ShapeError);
}

TEST_CASE("Shares of a gain are the groups' parts of its hits") {
  analysis::SystemMemorization before, after;
  before.all.hits = 10, before.m.hits = 6, before.n.hits = 4;
  after.all.hits = 15, after.m.hits = 12, after.n.hits = 3;
  const auto gain = analysis::recall_gain(after, before);
  CHECK(gain.share_m == 1.2);
  CHECK(gain.share_n == -0.2);
}

TEST_SUITE("data") {
  TEST_CASE("Groups and reference rows of real data are those that were counted before") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    struct Counted {
      const char* folder;
      Index users, interactions, transitions, m, m_of_19, m_of_last;
      double mean;
      std::vector<double> popular;  // MemRatio@5, R@5, in M, in N
      double one_hop, one_hop_m;
      Index memgen;
    };
    const Counted sets[] = {
        {"amazon-beauty-2014",
         22363,
         198502,
         114582,
         2561,
         2583,
         1863,
         47.25,
         {.1922, .0075, .0332, .0041},
         .0390,
         .3409,
         1925},
        {"amazon-sports-2014",
         35598,
         296337,
         180610,
         2745,
         2764,
         1668,
         48.11,
         {.2898, .0057, .0455, .0024},
         .0255,
         .3304,
         1827},
    };
    for (const Counted& expected : sets) {
      CAPTURE(expected.folder);
      const auto read =
          data::read_sequences((*shared / "data" / expected.folder / "sequences.tsv.gz").string());
      CHECK(read.users() == expected.users);
      CHECK(read.histories.tokens() == expected.interactions);
      const auto split = data::leave_one_out(read);
      const auto& [inputs, targets, users] = split.test;
      const auto transitions = analysis::count_transitions(split.train, split.items);
      CHECK(transitions.distinct() == expected.transitions);
      const auto covered_by = [&](const CandidateOptions& options) {
        return analysis::covered_targets(analysis::candidate_sets(transitions, inputs, options),
                                         targets);
      };
      CHECK(users_of_m(covered_by({.last = 19})) == expected.m_of_19);
      CHECK(users_of_m(covered_by({.last = 1})) == expected.m_of_last);
      const auto candidates = analysis::candidate_sets(transitions, inputs);
      const auto covered = analysis::covered_targets(candidates, targets);
      CHECK(users_of_m(covered) == expected.m);
      CHECK(std::round(100 * static_cast<double>(candidates.tokens()) /
                       static_cast<double>(expected.users)) == std::round(100 * expected.mean));
      // Seen items kept: a change of at most half a point.
      CHECK(std::abs(users_of_m(covered_by({.keep_seen = true})) - expected.m) <=
            expected.users / 200);

      const auto popular =
          analysis::popular_lists(data::popularity(split.train, split.items), inputs, 5);
      CHECK(row_of(analysis::measure_memorization(popular, targets, candidates, covered, 5)) ==
            expected.popular);
      const auto one_hop =
          analysis::measure_memorization(candidates, targets, candidates, covered, 5);
      CHECK(rounded(one_hop.all.recall) == expected.one_hop);
      CHECK(rounded(one_hop.m.recall) == expected.one_hop_m);
      CHECK(one_hop.n.hits == 0);

      analysis::MemGen memgen(transitions);
      Ragged<ItemId> asked;
      for (const ItemId& target : targets) { asked.push_back({&target, 1}); }
      CHECK(analysis::count_labels(memgen, inputs, asked, 1).memorization == expected.memgen);
    }
  }
}
