// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/tokenizer/residual_quantizer.hpp>
#include <simgr/tokenizer/resolve_collisions.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Numbers of residual k-means, checked by it.
struct ResidualKMeansConfig {
  Index levels = 4;
  Index codes = 256;
  Index iterations = 20;
  std::uint64_t seed = 1;
  bool normalise_residuals = false;
  Collision collision = Collision::digit;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"levels", 1, 64, "digits of an id, the disambiguation digit not counted"}, c.levels);
    f(Field{"codes", 1, 1 << 20, "centroids of a level"}, c.codes);
    f(Field{"iterations", 0, 1e6, "Lloyd iterations of a level"}, c.iterations);
    f(Field{"seed", 0, 1.9e19, "seed of the k-means++ draws"}, c.seed);
    f(Field{"normalise_residuals", 0, 1, "divide the residuals by their lengths at every level"},
      c.normalise_residuals);
    f(Field{"collision", 0, 4, "items of one id stay, get one digit more, or move"}, c.collision);
  }
};

/// What residual k-means found: codebooks for items to come, codes of the items at hand.
struct ResidualKMeans {
  ResidualQuantizer quantizer;
  SemanticIds ids;            // [items, levels], collisions kept
  std::vector<double> error;  // [levels], mean squared length of what a level leaves over
};

/// Residual k-means: level l clusters what the levels before left over.
///
/// @param start_rows  [levels, codes] rows to start from; empty: k-means++
///
/// Shapes   vectors [items, width] → codebooks [levels] of [codes, width], ids [items, levels]
/// Cost     O(levels · iterations · items · codes · width) in products; two copies of the vectors
/// Results  a pure function of vectors and config: the same bits on any executor
/// Errors   ConfigError, ShapeError: a setting out of range, start rows of another shape
///          DataError: a row that is not finite
/// Source   residual quantisation by k-means; Arthur and Vassilvitskii 2007 for the seeding
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>>
      ResidualKMeans fit_residual_kmeans(MatrixArg<float> vectors,
                                         const ResidualKMeansConfig& config = {},
                                         MatrixArg<Index> start_rows = {}, E&& executor = E{}) {
    if (const std::string sentence = out_of_range(config); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    if (!start_rows.empty() &&
        (start_rows.rows() != config.levels || start_rows.cols() != config.codes)) {
      SIMGR_THROW(ShapeError("start rows: expected [" + std::to_string(config.levels) + ", " +
                             std::to_string(config.codes) + "], found [" +
                             std::to_string(start_rows.rows()) + ", " +
                             std::to_string(start_rows.cols()) + "]"));
    }
    check_vectors(vectors);
    ResidualKMeans found;
    found.quantizer.normalise_residuals = config.normalise_residuals;
    found.ids.codes = OwnedMatrix<std::int32_t>(vectors.rows(), config.levels);
    OwnedMatrix<float> residual(vectors.rows(), vectors.cols());
    std::copy_n(vectors.begin(), vectors.size(), residual.values.begin());
    for (Index level = 0; level < config.levels; ++level) {
      found.quantizer.begin_level(residual.view());
      KMeans step = kmeans(
          residual,
          {.codes = config.codes,
           .iterations = config.iterations,
           .seed = config.seed,
           .stream = static_cast<std::uint64_t>(level)},
          start_rows.empty() ? std::span<const Index>{} : start_rows.row(level).span(), executor);
      found.quantizer.codebooks.push_back(std::move(step.centroids));
      found.ids.codes_per_digit.push_back(config.codes);
      found.error.push_back(step.inertia / static_cast<double>(vectors.rows()));
      for (Index item = 0; item < vectors.rows(); ++item) {
        const std::int32_t code = step.labels[static_cast<std::size_t>(item)];
        found.ids.codes.view()(item, level) = code;
        found.quantizer.subtract(level, code, residual.view().row(item));
      }
    }
    return found;
  }

/// Semantic ids of item vectors [items, width]; ids that collide are treated as config.collision
/// says, by default with one digit more. Everything else as fit_residual_kmeans, which returns the
/// codebooks, too.
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>>
      SemanticIds residual_kmeans(MatrixArg<float> vectors, const ResidualKMeansConfig& config = {},
                                  E&& executor = E{}) {
    const ResidualKMeans found = fit_residual_kmeans(vectors, config, {}, executor);
    return resolve_collisions(found.quantizer, vectors, found.ids, config.collision);
  }

}  // namespace simgr::SIMGR_ABI::tokenizer
