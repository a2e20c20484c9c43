// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include <simgr/tokenizer/balanced_assignment.hpp>
#include <simgr/tokenizer/kmeans.hpp>

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

/// k-means with clusters of equal size, rounded down or up: from the centroids of k-means, even
/// assignment and means in turn. Labels are the even ones, inertia is that of k-means.
///
/// @param rounds  of assignment and means after k-means
///
/// Shapes   vectors [rows, width] → labels [rows], centroids [codes, width]
/// Cost     that of kmeans, and rounds + 1 even assignments
/// Results  a pure function of vectors and config
/// Errors   those of kmeans
/// Source   constrained k-means, with the assignment of balanced_assignment
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>>
      KMeans balanced_kmeans(MatrixArg<float> vectors, const KMeansConfig& config = {},
                             Index rounds = 5, E&& executor = E{}) {
    KMeans found = kmeans(vectors, config, {}, executor);
    for (Index round = 0; round <= rounds; ++round) {
      found.labels =
          balanced_assignment(detail::distance_table(vectors, found.centroids, executor));
      if (round < rounds) {
        detail::take_means(vectors, found.labels, found.centroids.view());
      }
    }
    return found;
  }

}  // namespace simgr::SIMGR_ABI::tokenizer
