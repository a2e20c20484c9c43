// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <simgr/tokenizer/kmeans.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Codebooks in a row: each level names the centroid nearest to what the levels before left over.
///
///   r_0 = x;   s_l = argmin_c |r_l - e_l,c|²;   r_l+1 = r_l - e_l,s_l
///
/// With `normalise_residuals` every r_l is divided by its length first (rows of zeros stay).
struct ResidualQuantizer {
  std::vector<OwnedMatrix<float>> codebooks;  // [levels] of [codes, width]
  bool normalise_residuals = false;

  Index levels() const noexcept { return std::ssize(codebooks); }
  Index width() const noexcept { return codebooks.empty() ? 0 : codebooks.front().cols; }
  std::vector<Index> codes_per_level() const {
    std::vector<Index> codes;
    for (const OwnedMatrix<float>& codebook : codebooks) { codes.push_back(codebook.rows); }
    return codes;
  }

  /// Codes [rows, levels] of vectors [rows, width], also of vectors that were not there when the
  /// codebooks were made. Equal on any executor.
  ///
  /// Cost    O(rows · width · all codes) in products
  /// Errors  DataError: rows that are not finite;  ShapeError: rows of another width
  template <class E = Serial>
    requires Executor<std::remove_reference_t<E>> OwnedMatrix<std::int32_t>
    encode(MatrixArg<float> vectors, E&& executor = E{})
  const {
    check_vectors(vectors);
    if (vectors.cols() != width()) {
      SIMGR_THROW(ShapeError("vectors: expected width " + std::to_string(width()) + ", found " +
                             std::to_string(vectors.cols())));
    }
    OwnedMatrix<std::int32_t> codes(vectors.rows(), levels());
    std::vector<NearestCentroid> search;
    for (const OwnedMatrix<float>& codebook : codebooks) { search.emplace_back(codebook); }
    RowTiles tiles(vectors.rows());
    tiles.for_each(executor, [&](cpu::Context& ctx, Index first, Index count) {
      const Matrix<float> residual = ctx.take<float>(count, width());
      const Matrix<float> columns = ctx.take<float>(width(), count);
      const Nearest nearest = Nearest::take(ctx, count);
      std::copy_n(vectors.slice(first, count).begin(), residual.size(), residual.begin());
      for (Index level = 0; level < levels(); ++level) {
        begin_level(residual);
        transpose(residual, columns);
        search[static_cast<std::size_t>(level)].find(ctx, columns, nearest);
        for (Index row = 0; row < count; ++row) {
          codes.view()(first + row, level) = nearest.labels[row];
          subtract(level, nearest.labels[row], residual.row(row));
        }
      }
    });
    return codes;
  }

  /// What a level sees of the residuals: themselves, or their directions.
  void begin_level(Matrix<float> residual) const noexcept {
    if (!normalise_residuals) {
      return;
    }
    for (Index row = 0; row < residual.rows(); ++row) {
      const float length = std::sqrt(squared_length(residual.row(row)));
      if (length > 0) {
        for (float& value : residual.row(row)) { value /= length; }
      }
    }
  }
  /// Squared distances [codes] from what the digits of `prefix` left over of a vector to the codes
  /// of the next level; `rest` becomes what that level sees.
  void distances(std::span<const std::int32_t> prefix, Vector<float> rest,
                 std::vector<float>& found) const {
    begin_level({rest.data(), {1, rest.size()}});
    const auto codebook = codebooks[prefix.size()].view();
    found.resize(static_cast<std::size_t>(codebook.rows()));
    for (Index code = 0; code < codebook.rows(); ++code) {
      found[static_cast<std::size_t>(code)] = squared_distance(rest, codebook.row(code));
    }
  }
  /// What the next digit leaves over of `rest`.
  void leave_over(std::span<const std::int32_t> prefix, std::int32_t code,
                  Vector<float> rest) const noexcept {
    subtract(static_cast<Index>(prefix.size()), code, rest);
  }
  /// residual -= the centroid of `code`
  void subtract(Index level, std::int32_t code, Vector<float> residual) const noexcept {
    const auto centroid = codebooks[static_cast<std::size_t>(level)].view().row(code);
    for (Index i = 0; i < residual.size(); ++i) { residual.data()[i] -= centroid.data()[i]; }
  }
};

}  // namespace simgr::SIMGR_ABI::tokenizer
