// SPDX-License-Identifier: Apache-2.0
#include <simgr/loss/digit_cross_entropy.hpp>

#include <cmath>

#include <doctest/doctest.h>
#include <support/whole_model.hpp>

using namespace simgr;

namespace {

/// Queries of two users' digits and the keys of all codes, with room for both gradients.
struct DigitScoresOfTwo {
  static constexpr Index width = 5;
  simgr_test::ToyWorld world;
  std::vector<double> queries = simgr_test::random_values(2 * 3 * width, 3),
                      keys = simgr_test::random_values(11 * width, 4),
                      dqueries = std::vector<double>(queries.size()),
                      dkeys = std::vector<double>(keys.size());
  std::vector<ItemId> targets{4, 2};

  double loss(DigitSupport support, double temperature, double weight) {
    Arena arena;
    cpu::Context ctx{arena, true};
    std::fill(dkeys.begin(), dkeys.end(), 0.0);
    const DigitProducts<double> scores{{queries.data(), {6, width}},
                                       {keys.data(), {11, width}},
                                       {dqueries.data(), {6, width}},
                                       {dkeys.data(), {11, width}},
                                       world.items(),
                                       support};
    return DigitCrossEntropy::value_and_gradient({.temperature = temperature}, scores,
                                                 LossBatch{targets, {}, {}, {}, {}}, weight, ctx);
  }
  double score(std::size_t row, Index key) const {
    double sum = 0;
    for (std::size_t k = 0; k < width; ++k) {
      sum += queries[row * width + k] * keys[static_cast<std::size_t>(key) * width + k];
    }
    return sum;
  }
};

}  // namespace

TEST_CASE("the loss of digits is the mean of -log softmax(score / temperature) over the digits") {
  DigitScoresOfTwo two;
  for (const DigitSupport support : {DigitSupport::level, DigitSupport::whole}) {
    for (const double temperature : {0.3, 0.7, 1.0, 2.0}) {
      double expected = 0;
      for (std::size_t r = 0; r < 2; ++r) {
        for (std::size_t j = 0; j < 3; ++j) {
          const bool whole = support == DigitSupport::whole;
          double sum = 0;
          for (Index code = whole ? 0 : two.world.starts[j];
               code < (whole ? 11 : two.world.starts[j + 1]); ++code) {
            sum += std::exp(two.score(3 * r + j, code) / temperature);
          }
          const Index own = two.world.rows[static_cast<std::size_t>(two.targets[r]) * 3 + j];
          expected += (std::log(sum) - two.score(3 * r + j, own) / temperature) / 3;
        }
      }
      CHECK(two.loss(support, temperature, 0.5) == doctest::Approx(0.5 * expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("the loss of digits gives the gradients of queries and keys at any temperature") {
  DigitScoresOfTwo two;
  for (const DigitSupport support : {DigitSupport::level, DigitSupport::whole}) {
    for (const double temperature : {0.7, 1.0, 2.0}) {
      two.loss(support, temperature, 0.5);
      const std::vector<double> dqueries = two.dqueries, dkeys = two.dkeys;
      simgr_test::compare_with_differences(
          {{"queries", two.queries, dqueries}, {"keys", two.keys, dkeys}},
          [&] { return two.loss(support, temperature, 0.5); }, 1e-8);
    }
  }
}
