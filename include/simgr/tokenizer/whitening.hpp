// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/cpu/decompose.hpp>
#include <simgr/tokenizer/nearest_centroid.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Numbers of fit_pca.
struct PcaConfig {
  Index width = 0;      // directions kept; 0: as many as the vectors have columns
  bool whiten = false;  // divide every coordinate by its standard deviation

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"width", 0, 65536, "directions kept; 0: all"}, c.width);
    f(Field{"whiten", 0, 1, "divide every coordinate by its standard deviation"}, c.whiten);
  }
};

/// Principal components: y = (x - mean) D'. Fitted once, it also takes vectors that come later.
struct Pca {
  std::vector<float> mean;        // [in]
  OwnedMatrix<float> directions;  // D [width, in]; whitened, the rows carry 1 / deviation
  std::vector<double> variances;  // [width], of the coordinates before whitening, falling

  /// The coordinates of vectors; the same bits on any executor.
  ///
  /// Shapes  vectors [rows, in] → [rows, width]
  /// Cost    O(rows · in · width)
  /// Errors  DataError: rows that are not finite;  ShapeError: rows of another width
  template <class E = Serial>
    requires Executor<std::remove_reference_t<E>> OwnedMatrix<float> apply(MatrixArg<float> vectors,
                                                                           E&& executor = E{})
  const {
    check_vectors(vectors);
    if (vectors.cols() != directions.cols) {
      SIMGR_THROW(ShapeError("vectors: expected width " + std::to_string(directions.cols) +
                             ", found " + std::to_string(vectors.cols())));
    }
    OwnedMatrix<float> projected(vectors.rows(), directions.rows);
    RowTiles tiles(vectors.rows());
    tiles.for_each(executor, [&](cpu::Context& ctx, Index first, Index count) {
      const Matrix<float> centred = ctx.take<float>(count, vectors.cols());
      for (Index row = 0; row < count; ++row) {
        for (Index k = 0; k < vectors.cols(); ++k) {
          centred(row, k) = vectors(first + row, k) - mean[static_cast<std::size_t>(k)];
        }
      }
      cpu::gemm_nt<float>(ctx, centred, directions, projected.view().slice(first, count),
                          Write::assign);
    });
    return projected;
  }
};

/// Principal components of the rows of vectors, from the eigenvectors of their covariance (in
/// double). Directions without variance beyond rounding are zero rows: coordinates there are 0,
/// whitened or not.
///
/// Shapes  vectors [rows, in]
/// Cost    O(rows · in² + in³)
/// Errors  DataError: rows that are not finite
///         ConfigError: a width above that of the vectors
///
/// A template only so that whoever includes this file does not compile an eigenvalue solver.
template <std::same_as<double> T = double>
Pca fit_pca(MatrixArg<float> vectors, const PcaConfig& config = {}) {
  check_vectors(vectors);
  const Index in = vectors.cols(), width = config.width == 0 ? in : config.width;
  if (width < 0 || width > in) {
    SIMGR_THROW(ConfigError("width: expected 0 to " + std::to_string(in) +
                            ", the width of the vectors, found " + std::to_string(width)));
  }
  std::vector<T> mean(static_cast<std::size_t>(in));
  for (Index row = 0; row < vectors.rows(); ++row) {
    for (Index k = 0; k < in; ++k) {
      mean[static_cast<std::size_t>(k)] += static_cast<T>(vectors(row, k));
    }
  }
  for (T& value : mean) { value /= static_cast<T>(vectors.rows()); }

  Arena arena;
  cpu::Context ctx{.arena = arena};
  OwnedMatrix<T> covariance(in, in), components(in, in);
  OwnedMatrix<T> centred(std::min(RowTiles::tile, vectors.rows()), in);
  for (Index first = 0; first < vectors.rows(); first += RowTiles::tile) {
    const Index count = std::min(RowTiles::tile, vectors.rows() - first);
    const Matrix<T> tile = centred.view().slice(0, count);
    for (Index row = 0; row < count; ++row) {
      for (Index k = 0; k < in; ++k) {
        tile(row, k) = static_cast<T>(vectors(first + row, k)) - mean[static_cast<std::size_t>(k)];
      }
    }
    cpu::gemm_tn<T>(ctx, tile, tile, covariance.view(), Write::add);
  }
  const T samples = static_cast<T>(std::max<Index>(vectors.rows() - 1, 1));
  for (T& value : covariance.values) { value /= samples; }
  std::vector<T> values(static_cast<std::size_t>(in));
  cpu::symmetric_eigen<T>(covariance, {values.data(), {in}}, components.view());

  Pca pca;
  for (const double value : mean) { pca.mean.push_back(static_cast<float>(value)); }
  pca.directions = OwnedMatrix<float>(width, in);
  for (Index i = 0; i < width; ++i) {
    const double variance = values[static_cast<std::size_t>(i)];
    const bool real = variance > 1e-12 * values[0];
    const double scale = !real ? 0.0 : config.whiten ? 1.0 / std::sqrt(variance) : 1.0;
    pca.variances.push_back(real ? variance : 0.0);
    for (Index k = 0; k < in; ++k) {
      pca.directions.view()(i, k) = static_cast<float>(scale * components.view()(i, k));
    }
  }
  return pca;
}

/// The vectors in `width` principal coordinates, in one call.
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> OwnedMatrix<float>
  pca(MatrixArg<float> vectors, Index width, E&& executor = E{}) {
    return fit_pca(vectors, {.width = width}).apply(vectors, executor);
  }

/// The vectors in `width` principal coordinates of variance 1 each; width 0: all.
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> OwnedMatrix<float>
  whiten(MatrixArg<float> vectors, Index width = 0, E&& executor = E{}) {
    return fit_pca(vectors, {.width = width, .whiten = true}).apply(vectors, executor);
  }

}  // namespace simgr::SIMGR_ABI::tokenizer
