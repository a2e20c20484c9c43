// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/rq_vae.hpp>

#include <cmath>
#include <functional>

#include <doctest/doctest.h>
#include <support/gradient_check.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

RqVae::Config small_autoencoder(Commitment commitment, Estimator estimator) {
  return {.in = 7,
          .hidden = {6, 5},
          .latent = 4,
          .levels = 3,
          .codes = 5,
          .beta = 0.4,
          .weight = 1.5,
          .commitment = commitment,
          .estimator = estimator};
}

using Rows = std::vector<std::vector<double>>;

Rows rows_of(simgr::MatrixArg<double> matrix) {
  Rows rows;
  for (Index i = 0; i < matrix.rows(); ++i) {
    rows.emplace_back(matrix.row(i).begin(), matrix.row(i).end());
  }
  return rows;
}

/// Linear layers with ReLU between them, row by row.
Rows net(const simgr::ReluLayers::Params<double>& params, Rows x) {
  const auto& layers = params.layers;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (auto& row : x) {
      std::vector<double> y;
      for (Index o = 0; o < layers[l].weight.rows(); ++o) {
        double sum = layers[l].bias[o];
        for (std::size_t k = 0; k < row.size(); ++k) {
          sum += layers[l].weight(o, static_cast<Index>(k)) * row[k];
        }
        y.push_back(l + 1 < layers.size() ? std::max(sum, 0.0) : sum);
      }
      row = y;
    }
  }
  return x;
}

/// What stop-gradients hold still, as it was at the point where gradients are taken.
struct Held {
  std::vector<Rows> residuals;  // r_l
  std::vector<Rows> codewords;  // q_l
  Rows latent, quantised;
  Rows target;
};

/// The loss whose true gradient is the estimator's: sg[·] reads `held`.
double held_loss(const RqVae::Config& c, const RqVae::Params<double>& p, const Rows& x,
                 const RqVae::Cache<double>& chosen, const Held& held) {
  const Rows z = net(p.encoder, x);
  const std::size_t rows = z.size();
  const auto latent = static_cast<std::size_t>(c.latent);
  const double size = static_cast<double>(rows * latent);
  double loss = 0;
  Rows input(rows, std::vector<double>(latent));
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t l = 0; l < static_cast<std::size_t>(c.levels); ++l) {
      const Index code = chosen.codes(static_cast<Index>(i), static_cast<Index>(l));
      for (std::size_t k = 0; k < latent; ++k) {
        const double q = p.codebooks[l](code, static_cast<Index>(k));
        // The residual as a function of z: level 1 is z; the others follow it or hold still.
        const double shift = z[i][k] - held.latent[i][k];
        const double r = held.residuals[l][i][k] +
                         (l == 0 || c.commitment == Commitment::all_levels ? shift : 0.0);
        const double codebook_term = (q - held.residuals[l][i][k]) * (q - held.residuals[l][i][k]);
        const double commit = (held.codewords[l][i][k] - r) * (held.codewords[l][i][k] - r);
        loss += c.weight / static_cast<double>(c.levels) * (codebook_term + c.beta * commit) / size;
      }
    }
    if (c.estimator == Estimator::straight_through) {
      for (std::size_t k = 0; k < latent; ++k) {
        input[i][k] = z[i][k] + (held.quantised[i][k] - held.latent[i][k]);
      }
    } else {
      // |q| / |z| R z with R as a matrix, made at the point where it is held.
      double zz = 0, qq = 0;
      for (std::size_t k = 0; k < latent; ++k) {
        zz += held.latent[i][k] * held.latent[i][k];
        qq += held.quantised[i][k] * held.quantised[i][k];
      }
      std::vector<double> a, b, w;
      double ww = 0;
      for (std::size_t k = 0; k < latent; ++k) {
        a.push_back(held.latent[i][k] / std::sqrt(zz));
        b.push_back(held.quantised[i][k] / std::sqrt(qq));
        w.push_back(a[k] + b[k]);
        ww += w[k] * w[k];
      }
      for (std::size_t r = 0; r < latent; ++r) {
        for (std::size_t s = 0; s < latent; ++s) {
          const double rotation = (r == s ? 1.0 : 0.0) - 2 * w[r] * w[s] / ww + 2 * b[r] * a[s];
          input[i][r] += std::sqrt(qq / zz) * rotation * z[i][s];
        }
      }
    }
  }
  const Rows y = net(p.decoder, input);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 0; k < y[i].size(); ++k) {
      loss += (y[i][k] - held.target[i][k]) * (y[i][k] - held.target[i][k]) /
              static_cast<double>(rows * y[i].size());
    }
  }
  return loss;
}

void check_autoencoder_gradients(Commitment commitment, Estimator estimator) {
  const RqVae::Config config = small_autoencoder(commitment, estimator);
  const auto table = simgr::describe<RqVae>(config);
  auto weights = simgr_test::random_values(table.block_size, 11, 0.7);
  std::vector<double> gradients(weights.size());
  auto x = simgr_test::random_values(9 * config.in, 12);
  const auto params = simgr::bind<RqVae>(config, weights.data());
  const auto grads = simgr::bind<RqVae>(config, gradients.data());
  simgr::Arena arena;
  simgr::cpu::Context ctx{.arena = arena};
  RqVae::Cache<double> cache;
  const simgr::Matrix<double> input{x.data(), {9, config.in}};
  const auto loss = RqVae::forward<double>(
      config, params, input, cache, ctx, [&](Index, auto rows, auto codebook, auto chosen) {
        NearestCode::assign<double>(ctx, rows, codebook, chosen);
      });
  const auto dx = RqVae::backward<double>(config, params, grads, cache, ctx);

  Held held{.residuals = {},
            .codewords = {},
            .latent = rows_of(cache.residuals.front()),
            .quantised = rows_of(cache.quantised),
            .target = rows_of(input)};
  for (Index l = 0; l < config.levels; ++l) {
    const auto level = static_cast<std::size_t>(l);
    held.residuals.push_back(rows_of(cache.residuals[level]));
    Rows words;
    for (Index row = 0; row < 9; ++row) {
      const auto code = params.codebooks[level].row(cache.codes(row, l));
      words.emplace_back(code.begin(), code.end());
    }
    held.codewords.push_back(words);
  }
  const auto oracle = [&] { return held_loss(config, params, rows_of(input), cache, held); };
  CHECK(loss.total == doctest::Approx(oracle()).epsilon(1e-12));
  std::vector<simgr_test::Block> blocks;
  for (const auto& tensor : table.tensors) {
    const auto at = static_cast<std::size_t>(tensor.offset),
               size = static_cast<std::size_t>(tensor.size);
    blocks.push_back({tensor.name, std::span(weights).subspan(at, size),
                      std::span<const double>(gradients).subspan(at, size)});
  }
  const std::vector<double> claimed(dx.begin(), dx.end());
  blocks.push_back({"x", x, claimed});
  simgr_test::compare_with_differences(blocks, oracle, 1e-8);
}

}  // namespace

TEST_CASE("gradients of the autoencoder agree with differences for every estimator") {
  for (const Commitment commitment : {Commitment::first_only, Commitment::all_levels}) {
    for (const Estimator estimator : {Estimator::straight_through, Estimator::rotation}) {
      CAPTURE(static_cast<int>(commitment));
      CAPTURE(static_cast<int>(estimator));
      check_autoencoder_gradients(commitment, estimator);
    }
  }
}

TEST_CASE("codebooks that are not learned take no gradient, and their term no part in the loss") {
  RqVae::Config config = small_autoencoder(Commitment::all_levels, Estimator::straight_through);
  const auto table = simgr::describe<RqVae>(config);
  auto weights = simgr_test::random_values(table.block_size, 13, 0.7);
  auto x = simgr_test::random_values(5 * config.in, 14);
  const auto params = simgr::bind<RqVae>(config, weights.data());
  const auto run = [&](std::vector<double>& gradients) {
    gradients.assign(weights.size(), 0.0);
    simgr::Arena arena;
    simgr::cpu::Context ctx{.arena = arena};
    RqVae::Cache<double> cache;
    const auto loss =
        RqVae::forward<double>(config, params, {x.data(), {5, config.in}}, cache, ctx,
                               [&](Index, auto rows, auto codebook, auto chosen) {
                                 NearestCode::assign<double>(ctx, rows, codebook, chosen);
                               });
    RqVae::backward<double>(config, params, simgr::bind<RqVae>(config, gradients.data()), cache,
                            ctx);
    return loss;
  };
  std::vector<double> learned, held;
  const auto with = run(learned);
  config.learn_codebooks = false;
  const auto without = run(held);
  for (std::size_t l = 0; l < 3; ++l) {
    CHECK(without.levels[l] == doctest::Approx(with.levels[l] * config.beta / (1 + config.beta)));
  }
  for (const auto& tensor : table.tensors) {
    for (Index i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      const bool codebook = tensor.name.starts_with("codebook");
      const auto at = static_cast<std::size_t>(i);
      CHECK(held[at] == (codebook ? 0.0 : learned[at]));
    }
  }
}

TEST_CASE("float agrees with double") {
  const RqVae::Config config = small_autoencoder(Commitment::first_only, Estimator::rotation);
  const auto table = simgr::describe<RqVae>(config);
  auto weights = simgr_test::random_values(table.block_size, 15, 0.7);
  auto x = simgr_test::random_values(6 * config.in, 16);
  const auto loss_in = [&]<class T>(T) {
    std::vector<T> w(weights.begin(), weights.end()), in(x.begin(), x.end());
    simgr::Arena arena;
    simgr::cpu::Context ctx{.arena = arena};
    RqVae::Cache<T> cache;
    return RqVae::forward<T>(config, simgr::bind<RqVae>(config, w.data()),
                             simgr::Matrix<T>(in.data(), {6, config.in}), cache, ctx,
                             [&](Index, auto rows, auto codebook, auto chosen) {
                               NearestCode::assign<T>(ctx, rows, codebook, chosen);
                             })
        .total;
  };
  CHECK(loss_in(float{}) == doctest::Approx(loss_in(double{})).epsilon(1e-5));
}
