// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/rq_vae.hpp>
#include <simgr/tokenizer/sinkhorn.hpp>

#include <cmath>

#include <support/golden.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

void check_sinkhorn(simgr_test::GoldenCase& golden) {
  const auto x = golden.matrix<double>("input.x"),
             codebook = golden.matrix<double>("param.codebook");
  simgr::OwnedMatrix<double> distances(x.rows, codebook.rows);
  std::vector<std::int64_t> nearest;
  for (Index i = 0; i < x.rows; ++i) {
    for (Index c = 0; c < codebook.rows; ++c) {
      for (Index k = 0; k < x.cols; ++k) {
        const double gap = x.view()(i, k) - codebook.view()(c, k);
        distances.view()(i, c) += gap * gap;
      }
    }
    const auto row = distances.view().row(i);
    nearest.push_back(std::min_element(row.begin(), row.end()) - row.begin());
  }
  golden.check("output.distances", distances.values, 1e-6);
  golden.check("output.nearest", nearest, 0);
  const auto [least, most] = std::minmax_element(distances.values.begin(), distances.values.end());
  const double middle = (*most + *least) / 2, width = *most - middle + 1e-5;
  std::vector<double> scaled;
  for (const double d : distances.values) { scaled.push_back((d - middle) / width); }
  golden.check("output.scaled_distances", scaled, 1e-6);

  Sinkhorn sinkhorn({.epsilon = golden.number("eps"), .iterations = golden.integer("iterations")});
  const auto log_plan = sinkhorn.log_plan(distances);
  golden.check("output.log_plan", std::vector<double>(log_plan.begin(), log_plan.end()), 1e-6);
  std::vector<double> plan;
  for (const double value : log_plan) { plan.push_back(std::exp(value)); }
  golden.check("output.plan", plan, 1e-6);
  std::vector<std::int32_t> codes(static_cast<std::size_t>(x.rows));
  sinkhorn.assign(distances, {codes.data(), {x.rows}});
  const auto stored = golden.tensor<std::int64_t>("output.codes");
  const auto margin = golden.tensor<double>("output.margin");
  std::size_t compared = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (margin[i] > 1e-6) {
      CHECK(codes[i] == stored[i]);
      ++compared;
    }
  }
  CHECK(compared > codes.size() / 2);
}

void check_autoencoder(simgr_test::GoldenCase& golden) {
  const auto x = golden.matrix<double>("input.x");
  RqVae::Config config{.in = golden.integer("input"),
                       .latent = golden.integer("latent"),
                       .levels = golden.integer("levels"),
                       .codes = golden.integer("codes"),
                       .beta = golden.number("beta"),
                       .weight = golden.number("weight"),
                       .commitment = golden.text("commit") == "all_levels"
                                         ? Commitment::all_levels
                                         : Commitment::first_only};
  for (const double width : golden.numbers("hidden")) {
    config.hidden.push_back(static_cast<Index>(width));
  }
  const auto table = simgr::describe<RqVae>(config);
  std::vector<double> weights(static_cast<std::size_t>(table.block_size)),
      gradients(weights.size());
  for (const auto& tensor : table.tensors) {
    const auto values = golden.tensor<double>("param." + tensor.name);
    REQUIRE(static_cast<Index>(values.size()) == tensor.size);
    std::copy(values.begin(), values.end(), weights.begin() + tensor.offset);
  }
  const auto params = simgr::bind<RqVae>(config, weights.data());
  const auto grads = simgr::bind<RqVae>(config, gradients.data());
  simgr::Arena arena;
  simgr::cpu::Context ctx{.arena = arena};
  RqVae::Cache<double> cache;
  const auto loss = RqVae::forward<double>(
      config, params, x, cache, ctx, [&](Index, auto rows, auto codebook, auto chosen) {
        NearestCode::assign<double>(ctx, rows, codebook, chosen);
      });
  const auto dx = RqVae::backward<double>(config, params, grads, cache, ctx);

  const auto values_of = [](const auto& view) {
    return std::vector<double>(view.begin(), view.end());
  };
  golden.check("output.codes", std::vector<std::int32_t>(cache.codes.begin(), cache.codes.end()),
               0);
  golden.check("output.latent", values_of(cache.residuals.front()), 1e-6);
  golden.check("output.level_losses", loss.levels, 1e-6);
  golden.check("output.loss", loss.total, 1e-6);
  golden.check("output.loss_f64", loss.total, 1e-12);
  golden.check("output.reconstruction_loss", loss.reconstruction, 1e-6);
  golden.check("output.quantisation_loss", (loss.total - loss.reconstruction) / config.weight,
               1e-6);
  golden.check("output.quantised", values_of(cache.quantised), 1e-6);
  golden.check("output.x_hat", values_of(cache.decoded), 1e-6);
  std::vector<double> norms;
  for (Index row = 0; row < x.rows; ++row) {
    for (const auto& residual : cache.residuals) {
      double squares = 0;
      for (const double value : residual.row(row)) { squares += value * value; }
      norms.push_back(std::sqrt(squares));
    }
  }
  golden.check("output.residual_norms", norms, 1e-6);
  for (const auto& tensor : table.tensors) {
    golden.check("grad." + tensor.name,
                 std::span<const double>(gradients).subspan(static_cast<std::size_t>(tensor.offset),
                                                            static_cast<std::size_t>(tensor.size)),
                 1e-7);
  }
  golden.check("grad.x", values_of(dx), 1e-7);
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("RQ-VAE and its Sinkhorn assignment reproduce the reference") {
    simgr_test::GoldenFamily family("rqvae");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      if (golden.has("output.log_plan")) {
        check_sinkhorn(golden);
      } else {
        check_autoencoder(golden);
      }
    }
  }
}
