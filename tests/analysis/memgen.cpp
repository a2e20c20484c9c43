// SPDX-License-Identifier: Apache-2.0
#include <simgr/analysis/memgen.hpp>

#include <set>
#include <vector>

#include <doctest/doctest.h>
#include <simgr/data/sequences.hpp>
#include <simgr/data/split.hpp>

#include <support/random_histories.hpp>
#include <support/shared_folder.hpp>

namespace {

using namespace simgr;
using Row = std::set<ItemId>;

bool meet(const Row& a, const Row& b) {
  return std::any_of(a.begin(), a.end(), [&](ItemId item) { return b.contains(item); });
}

/// The definition, hop by hop.
class NaiveMemGen {
public:
  NaiveMemGen(const Ragged<ItemId>& train, std::size_t items, std::size_t hops) {
    for (std::size_t k = 1; k <= hops; ++k) {
      after_.emplace_back(items);
      before_.emplace_back(items);
      for (Index u = 0; u < train.sequences(); ++u) {
        const auto s = train[u];
        for (std::size_t a = 0; a < s.size(); ++a) {
          for (std::size_t b = a + 1; b < s.size() && b - a <= k; ++b) {
            after_.back()[static_cast<std::size_t>(s[a])].insert(s[b]);
            before_.back()[static_cast<std::size_t>(s[b])].insert(s[a]);
          }
        }
      }
    }
  }
  analysis::MemGenLabel label(std::span<const ItemId> input, ItemId item) const {
    analysis::MemGenLabel label;
    if (input.empty()) {
      return label;
    }
    label.memorized = after_[0][static_cast<std::size_t>(input.back())].contains(item);
    const auto i = static_cast<std::size_t>(item);
    for (std::size_t k = 1; k <= after_.size() && k <= input.size() && !label.memorized; ++k) {
      const auto &after = after_[k - 1], &before = before_[k - 1];
      for (const ItemId last : input.last(k)) {
        const auto u = static_cast<std::size_t>(last);
        const bool ties[] = {
            k >= 2 && after[u].contains(item), after[i].contains(last), meet(after[u], before[i]),
            meet(after[i], before[u]) || meet(after[i], after[u]) || meet(before[i], before[u])};
        for (std::size_t logic = 0; logic < 4; ++logic) {
          if (ties[logic] && label.hops[logic] == 0) {
            label.hops[logic] = static_cast<std::int32_t>(k);
          }
        }
      }
    }
    return label;
  }

private:
  std::vector<std::vector<Row>> after_, before_;  // [hops][items]
};

Ragged<ItemId> as_lists(const std::vector<ItemId>& targets) {
  Ragged<ItemId> lists;
  for (const ItemId& target : targets) { lists.push_back({&target, 1}); }
  return lists;
}

struct PublishedLabels {
  const char* folder;
  std::size_t longest;  // last items of a user that are kept; 0: all
  Index memorization, generalization, uncategorized;
  std::array<std::vector<Index>, 4> by_hop;
};

}  // namespace

TEST_CASE("Labels are those of the definition, for inputs of every length") {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    constexpr Index items = 60;
    const auto train = simgr_test::random_histories(seed, 40, items, 6);
    const auto inputs = simgr_test::random_histories(seed + 100, 40, items, 6);
    const NaiveMemGen naive(train, items, 4);
    analysis::MemGen memgen(analysis::count_transitions(train, items, 4));
    analysis::MemGenCounts expected;
    expected.by_hop.fill(std::vector<Index>(4));
    for (Index u = 0; u < inputs.sequences(); ++u) {
      memgen.read(inputs[u]);
      for (ItemId item = 0; item < items; ++item) {
        const auto label = naive.label(inputs[u], item);
        expected.add(label);
        CHECK(memgen.label(item) == label);
      }
    }
    CHECK(expected.memorization > 0);
    CHECK(expected.generalization > 0);
    CHECK(expected.uncategorized > 0);
    CHECK(expected.memorization + expected.generalization + expected.uncategorized ==
          expected.items);
  }
}

TEST_CASE("Labels of lists stop at k, and of an input without items say nothing") {
  Ragged<ItemId> train, inputs, lists;
  train.push_back(std::vector<ItemId>{0, 1, 2});
  inputs.push_back(std::vector<ItemId>{0});
  inputs.push_back(std::span<const ItemId>{});
  lists.push_back(std::vector<ItemId>{1, 2, 3});
  lists.push_back(std::vector<ItemId>{1});
  analysis::MemGen memgen(analysis::count_transitions(train, 4, 2));
  const auto counts = analysis::count_labels(memgen, inputs, lists, 2);
  CHECK(counts.items == 3);
  CHECK(counts.memorization == 1);    // 0 -> 1
  CHECK(counts.generalization == 1);  // 0 -> 1 -> 2; the hop of substitutability is too long
  CHECK(counts.uncategorized == 1);
  CHECK(counts.by_hop[2] == std::vector<Index>{1, 0});
  CHECK(counts.by_hop[0] == std::vector<Index>{0, 0});
  CHECK_THROWS_AS(analysis::count_labels(memgen, inputs, train, 2), ShapeError);
}

TEST_SUITE("data") {
  TEST_CASE("The labels of real data are those that were counted before") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    // Of Beauty as it is, the memorized share alone was known before; cut, the last 50 items of a user
    // are the end that gives the counts, the first 50 are not.
    const PublishedLabels sets[] = {
        {"amazon-beauty-2014",
         50,
         1916,
         18077,
         2370,
         {{{0, 1484, 1210, 983},
           {456, 805, 757, 619},
           {3600, 5023, 3657, 2392},
           {5326, 6828, 3395, 1774}}}},
        {"amazon-sports-2014",
         0,
         1827,
         30165,
         3606,
         {{{0, 1916, 1681, 1488},
           {497, 1187, 1290, 1192},
           {5384, 9295, 6408, 3962},
           {8939, 11719, 5619, 2819}}}},
    };
    for (const PublishedLabels& expected : sets) {
      CAPTURE(expected.folder);
      auto read =
          data::read_sequences((*shared / "data" / expected.folder / "sequences.tsv.gz").string());
      if (expected.longest > 0) {
        Ragged<ItemId> cut;
        for (Index u = 0; u < read.users(); ++u) {
          const auto history = read.histories[u];
          cut.push_back(history.last(std::min(history.size(), expected.longest)));
        }
        read.histories = cut;
        read.times.clear();
      }
      const auto split = data::leave_one_out(read);
      analysis::MemGen memgen(analysis::count_transitions(split.train, split.items, 4));
      const auto counts =
          analysis::count_labels(memgen, split.test.histories, as_lists(split.test.targets), 1);
      CHECK(counts.memorization == expected.memorization);
      CHECK(counts.generalization == expected.generalization);
      CHECK(counts.uncategorized == expected.uncategorized);
      CHECK(counts.by_hop == expected.by_hop);
    }
  }
}
