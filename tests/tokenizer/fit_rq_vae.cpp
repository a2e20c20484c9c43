// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/fit_rq_vae.hpp>

#include <cmath>
#include <set>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>

#include <simgr/data/npy.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

/// Thirty clusters with an offset that all share, as text vectors have.
simgr::OwnedMatrix<float> clustered_rows(Index rows, Index width, std::uint64_t seed) {
  simgr::OwnedMatrix<float> x(rows, width);
  for (Index row = 0; row < rows; ++row) {
    simgr::Rng cluster(seed, static_cast<std::uint64_t>(row % 30)),
        own(seed + 1, static_cast<std::uint64_t>(row));
    for (Index k = 0; k < width; ++k) {
      x.view()(row, k) = static_cast<float>(5 + cluster.normal() + 0.3 * own.normal());
    }
  }
  return x;
}

RqVaeConfig quick(Index epochs) {
  return {.levels = 2,
          .codes = 16,
          .hidden = 16,
          .layers = 1,
          .latent = 6,
          .beta = 0.25,
          .epochs = epochs,
          .batch = 150,
          .rate = 3e-3,
          .final_rate = 1,
          .warmup_epochs = 2,
          .kmeans_iterations = 5,
          .sinkhorn_levels = 1,
          .restart_every = 5,
          .measure_every = 5};
}

}  // namespace

TEST_CASE("the autoencoder learns, and its ids are those of its tokenizer") {
  const auto x = clustered_rows(600, 12, 1);
  std::vector<RqVaeEpoch> seen;
  const FittedRqVae found =
      fit_rq_vae(x, quick(40), [&](const RqVaeEpoch& epoch) { seen.push_back(epoch); });
  REQUIRE(seen.size() == 40);
  CHECK(seen.back().reconstruction < 0.5 * seen.front().reconstruction);
  CHECK(found.ids.codes_per_digit == std::vector<Index>{16, 16});
  const auto z = found.tokenizer.latents(x);
  CHECK(found.tokenizer.quantizer.encode(z).values == found.ids.codes.values);
  CHECK(found.best_epoch > 20);
  CHECK(seen[static_cast<std::size_t>(found.best_epoch - 1)].collision_rate ==
        doctest::Approx(collision_report(found.ids).collision_rate));
  CHECK(seen[0].collision_rate == -1);
  for (const DigitUsage& usage : collision_report(found.ids).digits) { CHECK(usage.used > 12); }
  // Clusters are told apart: items of one share codes more often than items of two.
  Index same = 0, other = 0;
  for (Index item = 0; item + 31 < 600; ++item) {
    same += found.ids.codes.view()(item, 0) == found.ids.codes.view()(item + 30, 0) ? 1 : 0;
    other += found.ids.codes.view()(item, 0) == found.ids.codes.view()(item + 31, 0) ? 1 : 0;
  }
  CHECK(same > 3 * other);
}

TEST_CASE("training is a pure function of vectors and config") {
  const auto x = clustered_rows(300, 8, 2);
  const auto one = fit_rq_vae(x, quick(6)), two = fit_rq_vae(x, quick(6));
  CHECK(one.tokenizer.weights == two.tokenizer.weights);
  RqVaeConfig other = quick(6);
  other.seed = 2;
  CHECK(fit_rq_vae(x, other).tokenizer.weights != one.tokenizer.weights);
}

TEST_CASE("every variant trains") {
  const auto x = clustered_rows(400, 10, 3);
  RqVaeConfig averages = quick(25), rotation = quick(25), committed = quick(25), even = quick(25);
  averages.codebooks = CodebookUpdate::moving_average;
  averages.decay = 0.9;
  rotation.estimator = Estimator::rotation;
  committed.commitment = Commitment::all_levels;
  even.sinkhorn_levels = 2;
  for (const RqVaeConfig& config : {averages, rotation, committed, even}) {
    const auto found = fit_rq_vae(x, config);
    CHECK(found.epochs.back().reconstruction < 0.7 * found.epochs.front().reconstruction);
    CHECK(found.epochs.back().used[0] > 10);
  }
}

TEST_CASE("codebooks as moving averages end where their residuals are") {
  const auto x = clustered_rows(400, 10, 4);
  RqVaeConfig config = quick(30);
  config.codebooks = CodebookUpdate::moving_average;
  config.decay = 0.9;
  config.sinkhorn_levels = 0;
  config.restart_every = 0;
  const auto found = fit_rq_vae(x, config);
  const auto z = found.tokenizer.latents(x);
  const auto& codebook = found.tokenizer.quantizer.codebooks[0];
  double gap = 0, size = 0;
  for (Index code = 0; code < 16; ++code) {
    std::vector<double> sum(6);
    double count = 0;
    for (Index item = 0; item < 400; ++item) {
      if (found.ids.codes.view()(item, 0) == code) {
        count += 1;
        for (Index k = 0; k < 6; ++k) {
          sum[static_cast<std::size_t>(k)] += static_cast<double>(z.view()(item, k));
        }
      }
    }
    for (Index k = 0; k < 6 && count > 5; ++k) {
      const double mean = sum[static_cast<std::size_t>(k)] / count;
      gap += std::pow(static_cast<double>(codebook.view()(code, k)) - mean, 2);
      size += mean * mean;
    }
  }
  CHECK(size > 0);
  CHECK(gap < 0.02 * size);
}

TEST_CASE("dead codes are restarted") {
  const auto x = clustered_rows(600, 8, 5);
  RqVaeConfig config = quick(30);
  config.levels = 1;
  config.codes = 128;
  config.sinkhorn_levels = 0;
  config.kmeans_iterations = 0;
  config.rate = 1e-2;
  config.least_usage = 0;
  config.restart_every = 0;
  const Index without = fit_rq_vae(x, config).epochs.back().used[0];
  config.restart_every = 2;
  const Index with = fit_rq_vae(x, config).epochs.back().used[0];
  CHECK(with > without + 5);
}

TEST_CASE("levels may have fewer codes one after another") {
  const auto x = clustered_rows(600, 12, 1);
  RqVaeConfig config = quick(30);
  config.levels = 4;
  config.shrink = 3;
  config.sinkhorn_levels = 2;
  const auto found = fit_rq_vae(x, config);
  CHECK(found.ids.codes_per_digit == std::vector<Index>{16, 5, 2, 2});  // at least two
  const auto usage = collision_report(found.ids).digits;
  for (std::size_t level = 0; level < 4; ++level) {
    CHECK(found.tokenizer.quantizer.codebooks[level].rows == found.ids.codes_per_digit[level]);
    CHECK(found.epochs.back().used[level] == found.ids.codes_per_digit[level]);
    CHECK(usage[level].used == found.ids.codes_per_digit[level]);
  }
  CHECK(found.epochs.back().reconstruction < 0.5 * found.epochs.front().reconstruction);
  config.codebooks = CodebookUpdate::moving_average;
  config.restart_every = 2;
  const auto averages = fit_rq_vae(x, config);
  CHECK(averages.epochs.back().reconstruction < 0.7 * averages.epochs.front().reconstruction);
}

TEST_CASE("codes that were idle for some steps in a row are restarted at once") {
  const auto x = clustered_rows(600, 8, 5);
  RqVaeConfig config = quick(30);  // of four steps
  config.levels = 1;
  config.codes = 128;
  config.sinkhorn_levels = 0;
  config.kmeans_iterations = 0;
  config.rate = 1e-2;
  config.least_usage = 0;
  config.restart_every = 0;
  const Index without = fit_rq_vae(x, config).epochs.back().used[0];
  config.restart_after = 8;
  const auto with = fit_rq_vae(x, config);
  CHECK(with.epochs.back().used[0] > without + 5);
  CHECK(with.tokenizer.weights == fit_rq_vae(x, config).tokenizer.weights);
  config.restart_after = 121;  // there are 120 steps
  CHECK(fit_rq_vae(x, config).epochs.back().used[0] == without);
}

TEST_CASE("the first codebooks see as many rows as they are told to") {
  const auto x = clustered_rows(600, 8, 5);
  RqVaeConfig config = quick(1);
  const auto all = fit_rq_vae(x, config);
  config.kmeans_rows = 600;
  CHECK(fit_rq_vae(x, config).tokenizer.weights == all.tokenizer.weights);
  config.kmeans_rows = 20;
  CHECK(fit_rq_vae(x, config).tokenizer.weights != all.tokenizer.weights);
}

TEST_CASE("codes that collapse end the training with a sentence") {
  simgr::OwnedMatrix<float> equal(200, 6);
  std::fill(equal.values.begin(), equal.values.end(), 0.5f);
  CHECK_THROWS_WITH_AS(
      fit_rq_vae(equal, quick(30)),
      doctest::Contains("rq-vae: the codes have collapsed: at epoch 10 level 0 uses 1 of 16 codes"),
      simgr::DataError);
  RqVaeConfig patient = quick(12);
  patient.least_usage = 0;
  CHECK(collision_report(fit_rq_vae(equal, patient).ids).distinct == 1);
}

namespace {

/// Pulls Σ q_l to zero.
struct PullToZero {
  double strength = 0;
  std::set<simgr::ItemId> items{};
  Index epochs = 0, shape = 0;

  void begin_epoch(Index, const RqVae::Params<float>&) { ++epochs; }
  template <class Ctx>
  double operator()(Ctx&, const RqVaeBatch& batch) {
    items.insert(batch.items.begin(), batch.items.end());
    shape = batch.cache.codes.cols();
    double loss = 0;
    for (Index i = 0; i < batch.dquantised.size(); ++i) {
      const auto z = batch.cache.quantised.data()[i];
      loss += strength / 2 * static_cast<double>(z * z);
      batch.dquantised.data()[i] += static_cast<float>(strength) * z;
    }
    return loss;
  }
};

double mean_square(const simgr::OwnedMatrix<float>& z) {
  double sum = 0;
  for (const float value : z.values) { sum += static_cast<double>(value * value); }
  return sum / static_cast<double>(z.values.size());
}

}  // namespace

TEST_CASE("a further term sees every batch and moves the latents") {
  const auto x = clustered_rows(300, 8, 6);
  PullToZero none{.strength = 0}, strong{.strength = 0.1};
  const auto free = fit_rq_vae(x, quick(20), simgr::Silent{}, none);
  const auto pulled = fit_rq_vae(x, quick(20), simgr::Silent{}, strong);
  CHECK(none.items.size() == 300);
  CHECK(none.epochs == 20);
  CHECK(none.shape == 2);
  CHECK(free.tokenizer.weights == fit_rq_vae(x, quick(20)).tokenizer.weights);
  CHECK(mean_square(pulled.tokenizer.latents(x)) < 0.7 * mean_square(free.tokenizer.latents(x)));
}

TEST_CASE("the autoencoder refuses what it cannot train on") {
  auto x = clustered_rows(30, 4, 7);
  RqVaeConfig config = quick(2);
  config.codes = 1;
  CHECK_THROWS_AS(fit_rq_vae(x, config), simgr::ConfigError);
  CHECK_THROWS_AS(fit_rq_vae(simgr::OwnedMatrix<float>(0, 4), quick(2)), simgr::DataError);
  const auto found = fit_rq_vae(x, quick(2));
  CHECK_THROWS_AS(found.tokenizer.latents(clustered_rows(3, 5, 8)), simgr::ShapeError);
  PullToZero broken{.strength = std::nan("")};
  CHECK_THROWS_WITH_AS(fit_rq_vae(x, quick(2), simgr::Silent{}, broken),
                       doctest::Contains("gradient is not finite"), simgr::DataError);
  x.view()(2, 2) = std::nanf("");
  CHECK_THROWS_AS(fit_rq_vae(x, quick(2)), simgr::DataError);
  CHECK(fit_rq_vae(clustered_rows(1, 4, 9), quick(2)).ids.items() == 1);
}
