// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/tokenizer/balanced_kmeans.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// The codes of vectors when every level is to use its codes evenly: not the nearest ones, and
/// other ones among other vectors.
///
/// Shapes  vectors [items, width] → codes [items, levels]
/// Cost    O(items · width · all codes) in products; memory: items · codes distances of a level
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> OwnedMatrix<std::int32_t>
  encode_balanced(const ResidualQuantizer& quantizer, MatrixArg<float> vectors,
                  E&& executor = E{}) {
    check_vectors(vectors);
    OwnedMatrix<std::int32_t> codes(vectors.rows(), quantizer.levels());
    OwnedMatrix<float> rest(vectors.rows(), vectors.cols());
    std::copy(vectors.begin(), vectors.end(), rest.values.begin());
    for (Index level = 0; level < quantizer.levels(); ++level) {
      quantizer.begin_level(rest.view());
      const auto labels = balanced_assignment(detail::distance_table(
          rest, quantizer.codebooks[static_cast<std::size_t>(level)], executor));
      for (Index item = 0; item < vectors.rows(); ++item) {
        const std::int32_t code = labels[static_cast<std::size_t>(item)];
        codes.view()(item, level) = code;
        quantizer.subtract(level, code, rest.view().row(item));
      }
    }
    return codes;
  }

/// Residual k-means with clusters of equal size: from the centroids of k-means, even assignment and
/// means in turn.
///
/// @param rounds  of assignment and means after k-means
///
/// Shapes   as fit_residual_kmeans; ids are encode_balanced of the vectors
/// Cost     that of fit_residual_kmeans, and rounds + 1 even assignments a level
/// Errors   those of fit_residual_kmeans
/// Source   as balanced_kmeans, level by level
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>>
      ResidualKMeans fit_balanced_residual_kmeans(MatrixArg<float> vectors,
                                                  const ResidualKMeansConfig& config = {},
                                                  Index rounds = 5, E&& executor = E{}) {
    if (const std::string sentence = out_of_range(config); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    check_vectors(vectors);
    ResidualKMeans found;
    found.quantizer.normalise_residuals = config.normalise_residuals;
    found.ids.codes = OwnedMatrix<std::int32_t>(vectors.rows(), config.levels);
    found.ids.codes_per_digit.assign(static_cast<std::size_t>(config.levels), config.codes);
    OwnedMatrix<float> rest(vectors.rows(), vectors.cols());
    std::copy(vectors.begin(), vectors.end(), rest.values.begin());
    for (Index level = 0; level < config.levels; ++level) {
      found.quantizer.begin_level(rest.view());
      KMeans step = balanced_kmeans(rest,
                                    {.codes = config.codes,
                                     .iterations = config.iterations,
                                     .seed = config.seed,
                                     .stream = static_cast<std::uint64_t>(level)},
                                    rounds, executor);
      found.quantizer.codebooks.push_back(std::move(step.centroids));
      double squares = 0;
      for (Index item = 0; item < vectors.rows(); ++item) {
        const std::int32_t code = step.labels[static_cast<std::size_t>(item)];
        found.ids.codes.view()(item, level) = code;
        found.quantizer.subtract(level, code, rest.view().row(item));
        squares += static_cast<double>(squared_length(rest.view().row(item)));
      }
      found.error.push_back(squares / static_cast<double>(vectors.rows()));
    }
    return found;
  }

}  // namespace simgr::SIMGR_ABI::tokenizer
