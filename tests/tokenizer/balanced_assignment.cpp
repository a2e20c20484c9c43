// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/balanced_assignment.hpp>

#include <numeric>

#include <doctest/doctest.h>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/rng.hpp>

using simgr::Index;
using simgr::tokenizer::balanced_assignment;

namespace {

simgr::OwnedMatrix<float> random_table(Index rows, Index codes, std::uint64_t seed) {
  simgr::OwnedMatrix<float> table(rows, codes);
  simgr::Rng rng(seed);
  // Some codes are better for everybody, so that they run full.
  for (Index i = 0; i < table.view().size(); ++i) {
    table.values[static_cast<std::size_t>(i)] =
        static_cast<float>(rng.uniform() + 0.1 * static_cast<double>(i % codes));
  }
  return table;
}

double cost(const simgr::OwnedMatrix<float>& table, const std::vector<std::int32_t>& chosen) {
  double sum = 0;
  for (Index row = 0; row < table.rows; ++row) {
    sum += static_cast<double>(table.view()(row, chosen[static_cast<std::size_t>(row)]));
  }
  return sum;
}

}  // namespace

TEST_CASE("a balanced assignment uses every code as often, up to one") {
  for (const auto& [rows, codes] :
       {std::pair<Index, Index>{100, 10}, {103, 10}, {7, 10}, {10, 10}, {1, 3}, {500, 1}, {0, 4}}) {
    CAPTURE(rows);
    const auto table = random_table(rows, codes, 3);
    const auto chosen = balanced_assignment(table);
    REQUIRE(std::ssize(chosen) == rows);
    std::vector<Index> count(static_cast<std::size_t>(codes));
    for (const std::int32_t code : chosen) {
      REQUIRE(code >= 0);
      ++count[static_cast<std::size_t>(code)];
    }
    for (const Index n : count) {
      CHECK(n >= rows / codes);
      CHECK(n <= (rows + codes - 1) / codes);
    }
  }
}

TEST_CASE("where nearest codes are even already, everybody gets the nearest") {
  simgr::OwnedMatrix<float> table(12, 4);
  std::fill(table.values.begin(), table.values.end(), 1.0f);
  for (Index row = 0; row < 12; ++row) { table.view()(row, row % 4) = 0; }
  const auto chosen = balanced_assignment(table);
  for (Index row = 0; row < 12; ++row) { CHECK(chosen[static_cast<std::size_t>(row)] == row % 4); }
}

TEST_CASE("the sum of distances is near the optimum") {
  // Two codes: the optimum takes the rows in the order of the difference.
  const auto table = random_table(200, 2, 5);
  std::vector<double> gain;
  double first = 0;
  for (Index row = 0; row < 200; ++row) {
    first += static_cast<double>(table.view()(row, 0));
    gain.push_back(static_cast<double>(table.view()(row, 1) - table.view()(row, 0)));
  }
  std::sort(gain.begin(), gain.end());
  const double optimum = std::accumulate(gain.begin(), gain.begin() + 100, first);
  CHECK(cost(table, balanced_assignment(table)) == doctest::Approx(optimum).epsilon(1e-5));

  // Four rows and four codes: all 24 orders.
  double worst = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto small = random_table(4, 4, seed);
    std::vector<std::int32_t> order = {0, 1, 2, 3};
    double best = 1e30;
    do {
      best = std::min(best, cost(small, order));
    } while (std::next_permutation(order.begin(), order.end()));
    worst += cost(small, balanced_assignment(small)) / best / 200;
  }
  CHECK(worst < 1.06);
}
