// SPDX-License-Identifier: Apache-2.0
#include <support/expected_training.hpp>
#include <support/gradient_check.hpp>

#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

// A world whose digits depend on each other: 512 items of three digits of 8 codes, likely where
// neighbouring digits are equal. Whatever predicts the digits apart stays above the entropy of the
// items by their total correlation, however long it trains; a model of items reaches it.

using namespace simgr;

namespace {

constexpr Index codes = 8, items = codes * codes * codes, users = 3;

struct World {
  std::vector<std::int32_t> rows;  // [items, 3]
  std::vector<double> shares;      // [users, items]
  std::vector<Index> starts{0, codes, 2 * codes, 3 * codes};
  double entropy = 0, total_correlation = 0;  // means over users, in nats

  World() {
    for (Index i = 0; i < items; ++i) {
      for (const Index code : {i / 64, codes + i / 8 % 8, 2 * codes + i % 8}) {
        rows.push_back(static_cast<std::int32_t>(code));
      }
    }
    for (Index u = 0; u < users; ++u) {
      std::vector<double> p;
      double sum = 0;
      for (Index i = 0; i < items; ++i) {
        const Index a = i / 64, b = i / 8 % 8, c = i % 8;
        const double taste = a == 2 * u ? 1.5 : 0.0;
        p.push_back(std::exp(3.0 * (a == b) + 3.0 * (b == c) + taste));
        sum += p.back();
      }
      double marginals[3][codes] = {}, joint = 0, apart = 0;
      for (Index i = 0; i < items; ++i) {
        const double share = p[static_cast<std::size_t>(i)] / sum;
        shares.push_back(share);
        joint -= share * std::log(share);
        marginals[0][i / 64] += share;
        marginals[1][i / 8 % 8] += share;
        marginals[2][i % 8] += share;
      }
      for (const auto& digit : marginals) {
        for (const double share : digit) { apart -= share * std::log(share); }
      }
      entropy += joint / users;
      total_correlation += (apart - joint) / users;
    }
  }
  ItemsView<> view() const { return {items, {rows.data(), {items, 3}}, starts}; }
};

/// The expected cross-entropy after `steps` of Adam.
template <class C>
double trained(const World& world, Index width, int steps, double rate) {
  using Model = Composition<simgr_test::GivenStates, EveryPosition, InnerProduct<C>,
                            simgr_test::ExpectedCrossEntropy>;
  return simgr_test::trained_loss<Model>({.loss = {&world.shares}}, world.view(), users, width,
                                         steps, rate);
}

}  // namespace

TEST_CASE("a model of items reaches the entropy of a world whose digits depend on each other" *
          doctest::test_suite("heavy")) {
  const World world;
  REQUIRE(items >= 500);
  REQUIRE(world.total_correlation >= 0.5);
  INFO("entropy ", world.entropy, ", total correlation ", world.total_correlation);

  const double own = trained<OwnItems>(world, 4, 300, 0.1);
  CHECK(own >= world.entropy - 1e-9);
  CHECK(own <= world.entropy + 0.01);

  const double pooled = trained<PooledDigits<MeanPlusMlp>>(world, 16, 400, 0.02);
  CHECK(pooled >= world.entropy - 1e-9);
  CHECK(pooled <= world.entropy + 0.1 * world.total_correlation);
}

TEST_CASE("scores that are sums over the digits stay above it by their total correlation") {
  const World world;
  const double apart = world.entropy + world.total_correlation;
  const double additive = trained<PooledDigits<Mean>>(world, 16, 400, 0.1);
  CHECK(additive >= apart - 1e-9);
  CHECK(additive <= apart + 0.01);
}
