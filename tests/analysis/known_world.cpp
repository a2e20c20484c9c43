// SPDX-License-Identifier: Apache-2.0
#include <support/expected_training.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/analysis/decoding_bias.hpp>
#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/pooler/digit_heads.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

// The synthetic catalogue as a world that models learn without noise: what each family can know of
// it, held against what analysis says that it can.

namespace {

using namespace simgr;

struct KnownWorld {
  static constexpr Index users = 24;
  data::SyntheticCatalogue catalogue = data::synthetic_catalogue({.users = users});
  Trie trie{catalogue.ids};
  std::vector<std::int32_t> rows;             // [items, 3]
  std::vector<Index> starts;                  // [4]
  std::vector<double> shares;                 // [users, items]
  std::vector<double> marginals;              // [users, table rows]
  std::vector<std::vector<double>> leaves;    // [users] log-probabilities by leaf
  double entropy = 0, total_correlation = 0;  // means over users, in nats

  KnownWorld() {
    for (Index l = 0; l <= 3; ++l) { starts.push_back(catalogue.ids.first_row(l)); }
    for (Index i = 0; i < catalogue.ids.items(); ++i) {
      for (Index l = 0; l < 3; ++l) {
        rows.push_back(static_cast<std::int32_t>(starts[static_cast<std::size_t>(l)]) +
                       catalogue.ids.codes.view()(i, l));
      }
    }
    for (Index u = 0; u < users; ++u) {
      const auto p = catalogue.next_item(u, catalogue.interactions.histories[u]);
      shares.insert(shares.end(), p.begin(), p.end());
      std::vector<double> logs;
      for (const double share : p) { logs.push_back(std::log(share)); }
      leaves.push_back(analysis::leaf_logs(trie, logs));
      for (const double value : analysis::digit_marginals(trie, leaves.back())) {
        marginals.push_back(std::exp(value));
      }
      entropy += analysis::entropy(leaves.back()) / users;
      total_correlation += analysis::total_correlation(trie, leaves.back()) / users;
    }
  }
  ItemsView<> view() const {
    return {catalogue.ids.items(), {rows.data(), {catalogue.ids.items(), 3}}, starts};
  }
};

template <class S>
double trained_on_items(const KnownWorld& world, typename S::Config similarity, Index width,
                        int steps, double rate) {
  using Model =
      Composition<simgr_test::GivenStates, EveryPosition, S, simgr_test::ExpectedCrossEntropy>;
  return simgr_test::trained_loss<Model>({.similarity = similarity, .loss = {&world.shares}},
                                         world.view(), KnownWorld::users, width, steps, rate);
}

}  // namespace

TEST_CASE("In the synthetic catalogue, training on items reaches the entropy of the next item" *
          doctest::test_suite("heavy")) {
  const KnownWorld world;
  INFO("entropy ", world.entropy, ", total correlation ", world.total_correlation);
  REQUIRE(world.total_correlation > 0.05 * world.entropy);
  const double own = trained_on_items<InnerProduct<OwnItems>>(world, {}, 24, 400, 0.1);
  CHECK(own >= world.entropy - 1e-9);
  CHECK(own <= 1.02 * world.entropy);
  const double simgr = trained_on_items<ScaledCosine<PooledDigits<MeanPlusMlp>>>(
      world, {.temperature = 0.07}, 48, 500, 0.02);
  CHECK(simgr >= world.entropy - 1e-9);
  CHECK(simgr <= 1.02 * world.entropy);
}

TEST_CASE("In the synthetic catalogue, digits apart stay above it by their total correlation") {
  const KnownWorld world;
  using Model = Composition<simgr_test::GivenStates, DigitHeads<>, InnerProduct<DigitCodebooks>,
                            simgr_test::ExpectedDigitCrossEntropy>;
  std::vector<double> logs;
  const double apart = simgr_test::trained_loss<Model>(
      {.loss = {&world.marginals, &logs}}, world.view(), KnownWorld::users, 24, 400, 0.05);
  INFO("entropy ", world.entropy, ", total correlation ", world.total_correlation, ", loss ",
       apart);
  CHECK(apart >= world.entropy + world.total_correlation - 1e-9);
  CHECK(apart <= world.entropy + 1.05 * world.total_correlation);

  // What analysis says of the trained heads: the gap is the loss above the entropy, and most of it
  // stays where probability on what is no item is taken away.
  analysis::IndependenceBias mean{0, 0, 0, 0, 0, 0, 0};
  const auto codes = static_cast<std::size_t>(world.starts.back());
  for (std::size_t u = 0; u < world.leaves.size(); ++u) {
    const std::vector<double> digits(logs.begin() + static_cast<Index>(u * codes),
                                     logs.begin() + static_cast<Index>((u + 1) * codes));
    const auto bias = analysis::independence_bias(world.trie, world.leaves[u], digits, 10);
    mean.kl += bias.kl / KnownWorld::users;
    mean.valid_mass += bias.valid_mass / KnownWorld::users;
    mean.kl_restricted += bias.kl_restricted / KnownWorld::users;
    mean.overlap += bias.overlap / KnownWorld::users;
    CHECK(std::abs(bias.rank_correlation) < 0.9);  // most tuples are unlikely to both, and differ
  }
  CHECK(std::abs(mean.kl - (apart - world.entropy)) < 1e-9);
  CHECK(mean.valid_mass < 1);
  CHECK(mean.kl_restricted > 0.5 * world.total_correlation);
  CHECK(mean.overlap < 0.9);  // of ten items that are likely, at least one is displaced
}
