// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/tokenizer/balanced_assignment.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

namespace detail {

/// Squared distances of rows to centroids [rows, codes], less the squared length of the row.
template <class E>
OwnedMatrix<float> distance_table(MatrixArg<float> rows, MatrixArg<float> centroids, E& executor) {
  OwnedMatrix<float> table(rows.rows(), centroids.rows());
  RowTiles tiles(rows.rows());
  tiles.for_each(executor, [&](cpu::Context& ctx, Index first, Index count) {
    const Matrix<float> part = table.view().slice(first, count);
    cpu::gemm_nt<float>(ctx, rows.slice(first, count), centroids, part, Write::assign);
    for (Index code = 0; code < centroids.rows(); ++code) {
      const float square = squared_length(centroids.row(code));
      for (Index row = 0; row < count; ++row) { part(row, code) = square - 2 * part(row, code); }
    }
  });
  return table;
}

/// Centroids become the means of their rows.
inline void take_means(MatrixArg<float> rows, const std::vector<std::int32_t>& labels,
                       Matrix<float> centroids) {
  std::vector<double> sums(static_cast<std::size_t>(centroids.size()));
  std::vector<double> counts(static_cast<std::size_t>(centroids.rows()));
  for (Index row = 0; row < rows.rows(); ++row) {
    const auto label = static_cast<std::size_t>(labels[static_cast<std::size_t>(row)]);
    counts[label] += 1;
    double* const sum = sums.data() + static_cast<Index>(label) * rows.cols();
    for (Index k = 0; k < rows.cols(); ++k) { sum[k] += static_cast<double>(rows(row, k)); }
  }
  for (Index i = 0; i < centroids.size(); ++i) {
    const double count = counts[static_cast<std::size_t>(i / centroids.cols())];
    if (count > 0) {
      centroids.data()[i] = static_cast<float>(sums[static_cast<std::size_t>(i)] / count);
    }
  }
}

}  // namespace detail

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
/// Source   spec/baselines.md 6.4 (constrained RQ-KMeans)
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
      KMeans step = kmeans(rest,
                           {.codes = config.codes,
                            .iterations = config.iterations,
                            .seed = config.seed,
                            .stream = static_cast<std::uint64_t>(level)},
                           {}, executor);
      for (Index round = 0; round <= rounds; ++round) {
        step.labels = balanced_assignment(detail::distance_table(rest, step.centroids, executor));
        if (round < rounds) {
          detail::take_means(rest, step.labels, step.centroids.view());
        }
      }
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
