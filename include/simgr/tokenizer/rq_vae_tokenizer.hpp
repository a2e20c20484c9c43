// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/tokenizer/residual_quantizer.hpp>
#include <simgr/tokenizer/resolve_collisions.hpp>
#include <simgr/tokenizer/rq_vae.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// How codebooks learn: by the gradient of their term of the loss, or as moving averages of the
/// residuals they were chosen for.
enum class CodebookUpdate { gradient, moving_average };
constexpr std::array<std::string_view, 2> names_of(CodebookUpdate) noexcept {
  return {"gradient", "moving-average"};
}

/// Numbers of fit_rq_vae, checked by it.
///
/// The defaults are for sentence vectors of a few hundred coordinates: small nets, a pull of 3 and
/// Sinkhorn on every level spread the codes within minutes. LC-Rec and its kin: hidden 512 or 2048,
/// beta .25, rate 1e-3, Sinkhorn on one level, thousands of epochs.
struct RqVaeConfig {
  Index levels = 3;
  Index codes = 256;
  Index shrink = 1;    // times fewer codes each next level has
  Index hidden = 256;  // width of the first hidden layer, every next one half of it
  Index layers = 2;    // hidden layers
  Index latent = 32;
  double beta = 3;
  double weight = 1;
  Commitment commitment = Commitment::first_only;
  Estimator estimator = Estimator::straight_through;
  CodebookUpdate codebooks = CodebookUpdate::gradient;
  double decay = 0.99;
  bool standardise = true;
  Index epochs = 50;
  Index batch = 1024;
  double rate = 2e-3;
  double final_rate = 0.05;
  Index warmup_epochs = 10;
  double weight_decay = 1e-4;
  double clip = 1;
  Index kmeans_rows = 16384;
  Index kmeans_iterations = 20;
  Index sinkhorn_levels = 3;
  double sinkhorn_epsilon = 0.003;
  Index sinkhorn_iterations = 50;
  Index restart_every = 10;
  Index restart_after = 0;
  double least_usage = 0.1;
  Index measure_every = 10;
  std::uint64_t seed = 1;
  Collision collision = Collision::digit;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"levels", 1, 64, "digits of an id, the disambiguation digit not counted"}, c.levels);
    f(Field{"codes", 2, 1 << 20, "codes of a level"}, c.codes);
    f(Field{"shrink", 1, 1 << 20, "how many times fewer codes each next level has, at least 2"},
      c.shrink);
    f(Field{"hidden", 1, 65536, "width of the first hidden layer, every next has half of it"},
      c.hidden);
    f(Field{"layers", 0, 16, "hidden layers of the encoder, and of the decoder"}, c.layers);
    f(Field{"latent", 1, 65536, "width of the codewords"}, c.latent);
    f(Field{"beta", 0, 1e3, "pull of the encoder towards its codes"}, c.beta);
    f(Field{"weight", 0, 1e3, "of the terms of the levels beside the reconstruction"}, c.weight);
    f(Field{"commitment", 0, 1, "which levels pull the encoder"}, c.commitment);
    f(Field{"estimator", 0, 1, "how gradients pass the codes"}, c.estimator);
    f(Field{"codebooks", 0, 1, "how codebooks learn"}, c.codebooks);
    f(Field{"decay", 0, 0.99999, "memory of moving averages"}, c.decay);
    f(Field{"standardise", 0, 1, "coordinates of mean 0 and variance 1"}, c.standardise);
    f(Field{"epochs", 1, 1e6, "passes over the vectors"}, c.epochs);
    f(Field{"batch", 1, 1e7, "vectors of a step, roughly: batches are of equal size"}, c.batch);
    f(Field{"rate", 0, 100, "learning rate of AdamW"}, c.rate);
    f(Field{"final_rate", 0, 1, "the rate at the end, as a part of it; 1: the rate stays"},
      c.final_rate);
    f(Field{"warmup_epochs", 0, 1e6, "epochs in which the rate rises"}, c.warmup_epochs);
    f(Field{"weight_decay", 0, 10, "pull of the weights towards zero"}, c.weight_decay);
    f(Field{"clip", 0, 1e6, "largest length of the gradient; 0: any"}, c.clip);
    f(Field{"kmeans_rows", 1, 1e9, "first vectors that the first codebooks are made of"},
      c.kmeans_rows);
    f(Field{"kmeans_iterations", 0, 1e6, "of the first codebooks; 0: k-means++ alone"},
      c.kmeans_iterations);
    f(Field{"sinkhorn_levels", 0, 64, "last levels that choose codes by Sinkhorn in training"},
      c.sinkhorn_levels);
    f(Field{"sinkhorn_epsilon", 1e-6, 1e3, "entropy of the plan"}, c.sinkhorn_epsilon);
    f(Field{"sinkhorn_iterations", 1, 1e5, "scalings of the plan"}, c.sinkhorn_iterations);
    f(Field{"restart_every", 0, 1e6, "epochs between restarts of dead codes; 0: never"},
      c.restart_every);
    f(Field{"restart_after", 0, 1e9, "steps without use after which a code is restarted; 0: never"},
      c.restart_after);
    f(Field{"least_usage", 0, 1, "share of the codes below which a level has collapsed; 0: none"},
      c.least_usage);
    f(Field{"measure_every", 1, 1e6, "epochs between counts of collisions"}, c.measure_every);
    f(Field{"seed", 0, 1.9e19, "seed of weights, order and draws"}, c.seed);
    f(Field{"collision", 0, 4, "items of one id stay, get one digit more, or move"}, c.collision);
  }
};

/// A trained autoencoder as a tokenizer: vectors to latents, latents to codes.
struct RqVaeTokenizer {
  RqVae::Config shape;
  std::vector<float> mean, scale;  // [width], y = (x - mean) scale
  std::vector<float> weights;      // as describe<RqVae>(shape) lays them out
  ResidualQuantizer quantizer;     // of latents

  RqVaeTokenizer() = default;
  /// Without weights: the shape, and the standardisation that these vectors ask for.
  RqVaeTokenizer(MatrixArg<float> vectors, const RqVaeConfig& config)
      : shape{.in = vectors.cols(),
              .hidden = {},
              .latent = config.latent,
              .levels = config.levels,
              .codes = config.codes,
              .shrink = config.shrink,
              .beta = config.beta,
              .weight = config.weight,
              .commitment = config.commitment,
              .estimator = config.estimator,
              .learn_codebooks = config.codebooks == CodebookUpdate::gradient},
        mean(static_cast<std::size_t>(vectors.cols()), 0.0f),
        scale(static_cast<std::size_t>(vectors.cols()), 1.0f) {
    for (Index layer = 0, width = config.hidden; layer < config.layers; ++layer) {
      shape.hidden.push_back(std::max<Index>(width, 1));
      width /= 2;
    }
    const auto rows = static_cast<double>(vectors.rows());
    for (Index k = 0; k < vectors.cols() && config.standardise; ++k) {
      double sum = 0, squares = 0;
      for (Index row = 0; row < vectors.rows(); ++row) {
        sum += static_cast<double>(vectors(row, k));
      }
      for (Index row = 0; row < vectors.rows(); ++row) {
        const double gap = static_cast<double>(vectors(row, k)) - sum / rows;
        squares += gap * gap;
      }
      const double deviation = std::sqrt(squares / rows);
      mean[static_cast<std::size_t>(k)] = static_cast<float>(sum / rows);
      scale[static_cast<std::size_t>(k)] =
          deviation > 1e-6 * std::abs(sum / rows) ? static_cast<float>(1 / deviation) : 0.0f;
    }
  }

  void standardise(MatrixArg<float> vectors, Matrix<float> to) const noexcept {
    for (Index row = 0; row < vectors.rows(); ++row) {
      for (Index k = 0; k < vectors.cols(); ++k) {
        const auto i = static_cast<std::size_t>(k);
        to(row, k) = (vectors(row, k) - mean[i]) * scale[i];
      }
    }
  }
  /// Copies the codebooks out of the weights.
  void settle() {
    const auto params = bind<RqVae>(shape, weights.data());
    quantizer.codebooks.clear();
    for (const Matrix<float>& codebook : params.codebooks) {
      auto& copy = quantizer.codebooks.emplace_back(codebook.rows(), codebook.cols());
      std::copy(codebook.begin(), codebook.end(), copy.values.begin());
    }
  }

  /// The latents of vectors [rows, width], also of such that were not trained with; equal on any
  /// executor.
  /// Errors  DataError: rows that are not finite;  ShapeError: rows of another width
  template <class E = Serial>
    requires Executor<std::remove_reference_t<E>> OwnedMatrix<float>
    latents(MatrixArg<float> vectors, E&& executor = E{})
  const {
    check_vectors(vectors);
    if (vectors.cols() != shape.in) {
      SIMGR_THROW(ShapeError("vectors: expected width " + std::to_string(shape.in) + ", found " +
                             std::to_string(vectors.cols())));
    }
    OwnedMatrix<float> standardised(vectors.rows(), vectors.cols());
    standardise(vectors, standardised.view());
    return latents_of_standardised(standardised, executor);
  }
  template <class E>
  OwnedMatrix<float> latents_of_standardised(MatrixArg<float> x, E&& executor) const {
    OwnedMatrix<float> z(x.rows(), shape.latent);
    auto memory = weights;  // parameters are bound as writable
    const auto params = bind<RqVae>(shape, memory.data());
    RowTiles tiles(x.rows());
    tiles.for_each(executor, [&](cpu::Context& ctx, Index first, Index count) {
      RqVae::Cache<float> cache;
      const Matrix<float> found =
          RqVae::encode<float>(shape, params, x.slice(first, count), cache, ctx);
      std::copy(found.begin(), found.end(), z.view().slice(first, count).begin());
    });
    return z;
  }
};

}  // namespace simgr::SIMGR_ABI::tokenizer
