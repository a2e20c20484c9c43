// SPDX-License-Identifier: Apache-2.0
#include <simgr/loss/set_cross_entropy.hpp>

#include <support/gradient_check.hpp>

#include <simgr/loss/cross_entropy.hpp>

using namespace simgr;

namespace {

struct SetsOfScores {
  Index rows = 5, items = 7, parts = 3, width = 2;
  std::vector<double> queries = simgr_test::random_values(rows * parts * width, 1),
                      keys = simgr_test::random_values(items * parts * width, 2),
                      dqueries = std::vector<double>(queries.size()),
                      dkeys = std::vector<double>(keys.size());
  std::vector<ItemId> targets{3, 0, 6, 3, 5};

  ProductScores<double> scores() {
    const Index all = parts * width;
    return {{queries.data(), {rows, all}},
            {keys.data(), {items, all}},
            {dqueries.data(), {rows, all}},
            {dkeys.data(), {items, all}},
            parts};
  }
  LossBatch batch() const { return {targets, {}, {}, {}, {}}; }
  double loss(double weight) {
    Arena arena;
    cpu::Context ctx{arena, true};
    return SetCrossEntropy::value_and_gradient({}, scores(), batch(), weight, ctx);
  }
};

}  // namespace

TEST_CASE("every vector of a set has a softmax over the catalogue of its own") {
  SetsOfScores sets;
  double expected = 0;
  for (Index j = 0; j < sets.parts; ++j) {
    for (Index r = 0; r < sets.rows; ++r) {
      double sum = 0, own = 0;
      for (Index i = 0; i < sets.items; ++i) {
        double s = 0;
        for (Index k = 0; k < sets.width; ++k) {
          const Index at = j * sets.width + k, all = sets.parts * sets.width;
          s += sets.queries[static_cast<std::size_t>(r * all + at)] *
               sets.keys[static_cast<std::size_t>(i * all + at)];
        }
        sum += std::exp(s);
        own = i == sets.targets[static_cast<std::size_t>(r)] ? s : own;
      }
      expected += (std::log(sum) - own) / 3;
    }
  }
  CHECK(sets.loss(0.25) == doctest::Approx(0.25 * expected).epsilon(1e-12));
  const std::vector<double> dqueries = sets.dqueries;
  sets.dkeys.assign(sets.dkeys.size(), 0);
  sets.loss(0.25);
  const std::vector<double> dkeys = sets.dkeys;
  simgr_test::compare_with_differences(
      {{"queries", sets.queries, dqueries}, {"keys", sets.keys, dkeys}},
      [&] { return sets.loss(0.25); }, 1e-8);
}

TEST_CASE("a set of one vector is an item under the softmax of items") {
  SetsOfScores sets;
  sets.width *= sets.parts;
  sets.parts = 1;
  const double value = sets.loss(0.5);
  Arena arena;
  cpu::Context ctx{arena, true};
  CHECK(value == ItemCrossEntropy<>::value_and_gradient({}, sets.scores(), sets.batch(), 0.5, ctx));
}
