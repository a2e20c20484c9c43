// SPDX-License-Identifier: Apache-2.0
#include <simgr/loss/cross_entropy.hpp>

#include <numeric>

#include <support/given_scores.hpp>
#include <support/gradient_check.hpp>
#include <support/reference.hpp>

using namespace simgr;

namespace {

constexpr Index rows = 37, items = 211, width = 13;

struct Products {
  std::vector<double> queries = simgr_test::random_values(rows * width, 1),
                      keys = simgr_test::random_values(items * width, 2);
  std::vector<ItemId> targets;
  std::vector<double> dqueries = std::vector<double>(queries.size()),
                      dkeys = std::vector<double>(keys.size());

  Products() {
    Rng rng(3);
    for (Index r = 0; r < rows; ++r) { targets.push_back(static_cast<ItemId>(rng.below(items))); }
  }
  double loss(Index tile_bytes, double label_smoothing = 0) {
    Arena arena;
    cpu::Context ctx{arena, true};
    std::fill(dkeys.begin(), dkeys.end(), 0.0);
    const ProductScores<double> scores{{queries.data(), {rows, width}},
                                       {keys.data(), {items, width}},
                                       {dqueries.data(), {rows, width}},
                                       {dkeys.data(), {items, width}}};
    return ItemCrossEntropy<>::value_and_gradient(
        {.tile_bytes = tile_bytes, .label_smoothing = label_smoothing}, scores,
        LossBatch{targets, {}, {}, {}, {}}, 1.0 / static_cast<double>(rows), ctx);
  }
  std::vector<double> scores() const {
    std::vector<double> s;
    for (Index r = 0; r < rows; ++r) {
      for (Index i = 0; i < items; ++i) {
        s.push_back(std::inner_product(queries.begin() + r * width,
                                       queries.begin() + (r + 1) * width, keys.begin() + i * width,
                                       0.0));
      }
    }
    return s;
  }
};

double worst(const std::vector<double>& a, const std::vector<double>& b) {
  double gap = 0;
  for (std::size_t i = 0; i < a.size(); ++i) { gap = std::max(gap, std::abs(a[i] - b[i])); }
  return gap;
}

}  // namespace

TEST_CASE("the tiled cross-entropy is the naive one") {
  Products products;
  const double expected =
      simgr_test::mean_cross_entropy(products.scores(), items, products.targets);
  CHECK(products.loss(1 << 20) == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("tiles of any size give one value and one gradient") {
  Products whole, tiled;
  for (const double smoothing : {0.0, 0.1}) {
    const double expected = whole.loss(1 << 30, smoothing);
    for (const Index bytes : {Index{1 << 12}, Index{40000}, Index{1 << 16}}) {
      CHECK(tiled.loss(bytes, smoothing) == doctest::Approx(expected).epsilon(1e-13));
      CHECK(worst(whole.dqueries, tiled.dqueries) < 1e-13);
      CHECK(worst(whole.dkeys, tiled.dkeys) < 1e-13);
    }
  }
}

TEST_CASE("the order of the items changes nothing but the order of their gradients") {
  Products ordered, shuffled;
  std::vector<ItemId> place(static_cast<std::size_t>(items));
  std::iota(place.begin(), place.end(), ItemId{0});
  Rng(9).shuffle(std::span<ItemId>(place));
  for (Index i = 0; i < items; ++i) {
    std::copy_n(ordered.keys.begin() + i * width, width,
                shuffled.keys.begin() + place[static_cast<std::size_t>(i)] * width);
  }
  for (ItemId& target : shuffled.targets) { target = place[static_cast<std::size_t>(target)]; }
  CHECK(shuffled.loss(1 << 20) == doctest::Approx(ordered.loss(1 << 20)).epsilon(1e-13));
  CHECK(worst(ordered.dqueries, shuffled.dqueries) < 1e-13);
  std::vector<double> restored(ordered.dkeys.size());
  for (Index i = 0; i < items; ++i) {
    std::copy_n(shuffled.dkeys.begin() + place[static_cast<std::size_t>(i)] * width, width,
                restored.begin() + i * width);
  }
  CHECK(worst(ordered.dkeys, restored) < 1e-13);
}

TEST_CASE("scores in the hundreds do not overflow") {
  Products products;
  for (double& q : products.queries) { q *= 200; }
  const double loss = products.loss(1 << 20);
  CHECK(std::isfinite(loss));
  CHECK(loss > 100);
  for (const double g : products.dkeys) { REQUIRE(std::isfinite(g)); }
}

TEST_CASE("an item that is the row's target twice is no negative of it") {
  Arena arena;
  cpu::Context ctx{arena, true};
  const std::vector<double> scores{1, 5, 0, 2, 3, 0, 1, 1, 1};  // of 3 rows against 3 targets
  std::vector<double> gradient(9);
  const std::vector<ItemId> targets{4, 4, 7};
  ItemCrossEntropy<InBatch<false>>::value_and_gradient(
      {}, simgr_test::GivenScores<double>{{scores.data(), {3, 3}}, {gradient.data(), {3, 3}}},
      LossBatch{targets, {}, {}, {}, {}}, 1.0, ctx);
  CHECK(std::abs(gradient[1]) < 1e-30);
  CHECK(std::abs(gradient[3]) < 1e-30);
  const double other = std::exp(0.0) / (std::exp(1.0) + std::exp(0.0));
  CHECK(gradient[0] == doctest::Approx(-other));
  CHECK(gradient[2] == doctest::Approx(other));
}
