// SPDX-License-Identifier: Apache-2.0
#include <support/given_scores.hpp>
#include <support/gradient_check.hpp>

#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/nn/info_nce.hpp>

// The gradient of the scores alone, for every loss.

using namespace simgr;

namespace {

/// Rows of `items` scores whose histories have one item each; two rows share a target.
struct Batch {
  std::vector<ItemId> targets{2, 0, 2, 6, 1}, history{1, 3, 4, 5, 0};
  std::vector<Index> offsets{0, 1, 2, 3, 4, 5};
  std::vector<double> log_popularity, cumulative;

  explicit Batch(Index items) {
    double sum = 0;
    for (Index i = 0; i < items; ++i) {
      const double share = static_cast<double>(2 * i + 1) / static_cast<double>(items * items);
      log_popularity.push_back(std::log(share));
      cumulative.push_back(sum += share);
    }
  }
  LossBatch view() const { return {targets, {history, offsets}, {}, log_popularity, cumulative}; }
};

template <class L>
void check_loss(Index items, typename L::Config config = {}) {
  const Batch batch(7);
  std::vector<double> scores = simgr_test::random_values(5 * items, 1, 2);
  std::vector<double> gradient(scores.size());
  Arena arena;
  const auto loss = [&] {
    arena.reset();
    cpu::Context ctx{arena, true, 3, 5};
    std::fill(gradient.begin(), gradient.end(), 0.0);
    const Shape<2> shape{5, items};
    return L::value_and_gradient(
        config, simgr_test::GivenScores<double>{{scores.data(), shape}, {gradient.data(), shape}},
        batch.view(), 0.3, ctx);
  };
  loss();
  const std::vector<double> claimed = gradient;
  simgr_test::compare_with_differences({{"scores", scores, claimed}}, loss, 1e-8);
  double size = 0;
  for (const double g : claimed) { size += std::abs(g); }
  CHECK(size > 0.1);
}

}  // namespace

TEST_CASE("cross-entropies give the gradient of every score") {
  check_loss<ItemCrossEntropy<>>(7);
  check_loss<ItemCrossEntropy<>>(7, {.label_smoothing = 0.2});
  check_loss<ItemCrossEntropy<InBatch<true>>>(5);
  check_loss<ItemCrossEntropy<InBatch<false>>>(5);
  check_loss<ItemCrossEntropy<UniformNegatives<3>>>(7);
  check_loss<ItemCrossEntropy<PopularityNegatives<3>>>(7);
}
TEST_CASE("losses of pairs give the gradient of every score") {
  check_loss<BinaryCrossEntropy<UniformNegatives<3>>>(7);
  check_loss<BinaryCrossEntropy<UniformNegatives<3>>>(7, {.averaged = true});
  check_loss<Bpr<PopularityNegatives<3>>>(7);
  check_loss<BprMax<UniformNegatives<3>>>(7, {.regularisation = 0.7});
  check_loss<BprMax<InBatch<false>>>(5, {.regularisation = 0.7});
}
TEST_CASE("InfoNce gives the gradients of both views") {
  struct Case {
    bool symmetric;
    std::vector<ItemId> names;
  };
  const std::vector<ItemId> two_alike{4, 7, 1, 7, 2};
  for (const Case& each : {Case{false, {}}, Case{true, {}}, Case{true, two_alike}}) {
    std::vector<double> a = simgr_test::random_values(20, 1), b = simgr_test::random_values(20, 2);
    std::vector<double> da(20), db(20);
    Arena arena;
    const Shape<2> shape{5, 4};
    const auto loss = [&] {
      arena.reset();
      cpu::Context ctx{arena};
      std::fill(da.begin(), da.end(), 0.0);
      std::fill(db.begin(), db.end(), 0.0);
      return InfoNce::value_and_gradient(
          {.temperature = 0.5, .symmetric = each.symmetric}, MatrixArg<double>(a.data(), shape),
          MatrixArg<double>(b.data(), shape), 0.3, Matrix<double>(da.data(), shape),
          Matrix<double>(db.data(), shape), ctx, each.names);
    };
    loss();
    const std::vector<double> claimed_a = da, claimed_b = db;
    simgr_test::compare_with_differences({{"a", a, claimed_a}, {"b", b, claimed_b}}, loss, 1e-8);
  }
}
