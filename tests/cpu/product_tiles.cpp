// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/product_tiles.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <doctest/doctest.h>

namespace {

using simgr::Index;

struct Seen {
  std::vector<float> scores, margins;  // [rows · items]
  std::vector<int> visits;
  bool ascending = true;
};

Seen visit_all(const std::vector<float>& q, const std::vector<float>& c, Index rows, Index items,
               Index width) {
  const auto size = static_cast<std::size_t>(rows * items);
  Seen seen{std::vector<float>(size), std::vector<float>(size), std::vector<int>(size, 0)};
  std::vector<Index> next(static_cast<std::size_t>(rows), 0);
  std::vector<float> scratch(
      static_cast<std::size_t>(simgr::cpu::product_scratch(rows, width) + 3));
  for (const Index shift : {0, 3}) {  // memory of any alignment
    next.assign(next.size(), 0);
    simgr::cpu::visit_product_tiles(
        {q.data(), {rows, width}}, {c.data(), {items, width}},
        std::span(scratch).subspan(static_cast<std::size_t>(shift)),
        [&](Index row, Index item, std::span<const float> scores, float margin) {
          seen.ascending = seen.ascending && item == next[static_cast<std::size_t>(row)];
          next[static_cast<std::size_t>(row)] = item + static_cast<Index>(scores.size());
          for (std::size_t i = 0; i < scores.size(); ++i) {
            const auto at = static_cast<std::size_t>(row * items + item) + i;
            seen.scores[at] = scores[i];
            seen.margins[at] = margin;
            ++seen.visits[at];
          }
        });
  }
  return seen;
}

}  // namespace

TEST_CASE("Every product of 300 shapes is handed over once and lies within its margin") {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 300; ++round) {
    const Index rows = 1 + static_cast<Index>(rng() % (round % 20 == 0 ? 600 : 30));
    const Index items = 1 + static_cast<Index>(rng() % (round % 20 == 1 ? 1500 : 120));
    const Index width = 1 + static_cast<Index>(rng() % 150);
    const float scale = round % 5 == 0 ? 1e-20f : 1;
    std::vector<float> q(static_cast<std::size_t>(rows * width)),
        c(static_cast<std::size_t>(items * width));
    for (float& value : q) { value = scale * normal(rng); }
    for (float& value : c) { value = normal(rng); }
    const Seen seen = visit_all(q, c, rows, items, width);
    REQUIRE(seen.ascending);
    for (Index row = 0; row < rows; ++row) {
      for (Index item = 0; item < items; ++item) {
        const auto at = static_cast<std::size_t>(row * items + item);
        const float exact =
            simgr::cpu::exact_product(&q[static_cast<std::size_t>(row * width)],
                                      &c[static_cast<std::size_t>(item * width)], width);
        REQUIRE(seen.visits[at] == 2);
        REQUIRE(std::abs(seen.scores[at] - exact) <= seen.margins[at]);
        // A margin that says nothing would pass too: it stays far below the scores, down to the
        // floor under which squares would underflow.
        REQUIRE(seen.margins[at] <= 1e-3f * std::max(scale, 1e-15f) * static_cast<float>(width));
      }
    }
  }
}

TEST_CASE("The exact product is the double sum, rounded once, for every width") {
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  for (Index width = 0; width < 70; ++width) {
    std::vector<float> a(static_cast<std::size_t>(width) + 1), b(a.size());
    for (float& value : a) { value = normal(rng); }
    for (float& value : b) { value = normal(rng); }
    double sum = 0;
    for (std::size_t j = 0; j < static_cast<std::size_t>(width); ++j) {
      sum += double{a[j]} * double{b[j]};
    }
    CHECK(simgr::cpu::exact_product(a.data(), b.data(), width) ==
          doctest::Approx(sum).epsilon(1e-6));
  }
  const float big[] = {1e8f, 1, -1e8f}, ones[] = {1, 1, 1};
  CHECK(simgr::cpu::exact_product(big, ones, 3) == 1);  // a float sum gives 0
}

TEST_CASE("Where a product may overflow the margin admits everything") {
  for (const Index rows : {1, 7}) {
    const std::vector<float> q(static_cast<std::size_t>(rows * 5), 1e25f), c(40 * 5, 1e25f);
    const Seen seen = visit_all(q, c, rows, 40, 5);
    for (const float margin : seen.margins) { CHECK_FALSE(margin < 1e30f); }
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(simgr::cpu::product_margin(nan, 1, 4) < 1e30f);
  CHECK_FALSE(simgr::cpu::product_margin(1, nan, 4) < 1e30f);
}
