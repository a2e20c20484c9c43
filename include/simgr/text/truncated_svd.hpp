// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/core/sparse_rows.hpp>
#include <simgr/cpu/decompose.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/sparse_products.hpp>

namespace simgr::SIMGR_ABI::text {

/// Numbers of truncated_svd.
struct TruncatedSvdConfig {
  Index width = 128;
  Index oversampling = 16;
  Index power_iterations = 3;
  std::uint64_t seed = 1;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"width", 1, 4096, "singular values kept"}, c.width);
    f(Field{"oversampling", 0, 4096, "further directions the range finder works with"},
      c.oversampling);
    f(Field{"power_iterations", 0, 100, "more separate close singular values better"},
      c.power_iterations);
    f(Field{"seed", 0, 1.9e19, "seed of the range finder"}, c.seed);
  }
};

/// The rows of a sparse matrix in the coordinates of its leading right singular vectors.
struct TruncatedSvd {
  OwnedMatrix<float> rows;     // U Σ [rows, width]; columns beyond the rank are zero
  std::vector<double> values;  // Σ [width], falling
};

/// Truncated singular value decomposition by a randomised range finder with power iterations:
///
///   Y = (A A')^q A A' G;   Q = orth(Y), after every pass
///   Q' A = S Σ V' from the eigenvectors of (Q' A)(Q' A)';   U = Q S
///
/// with G a matrix of Gaussian draws and q the power iterations.
///
/// Cost     O((q + 1) (entries · width + rows · width²)); memory (rows + columns in use) · width
/// Results  the same bits on any executor
/// Errors   ConfigError: a setting out of range
/// Source   Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011,
///          algorithms 4.4 and 5.1
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> TruncatedSvd
  truncated_svd(const SparseRows& a, const TruncatedSvdConfig& config = {}, E&& executor = E{}) {
    if (const std::string sentence = out_of_range(config); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    const Index rows = a.rows();
    const Index rank = std::min({config.width + config.oversampling, rows, a.cols});
    TruncatedSvd found{OwnedMatrix<float>(rows, config.width),
                       std::vector<double>(static_cast<std::size_t>(config.width))};
    if (rank == 0) {
      return found;
    }
    Arena arena;
    cpu::Context ctx{.arena = arena};
    const SparseRows columns = transposed(a);
    OwnedMatrix<float> q(rows, rank), z(a.cols, rank);
    Rng rng(config.seed);
    for (float& value : q.values) { value = static_cast<float>(rng.normal()); }
    for (Index pass = 0; pass <= config.power_iterations; ++pass) {
      cpu::multiply<float>(executor, columns, q, z.view());
      cpu::multiply<float>(executor, a, z, q.view());
      cpu::orthonormalise_columns<float>(q.view());
    }
    cpu::multiply<float>(executor, columns, q, z.view());  // z = A' Q

    // In double, so that small singular values keep their digits; a block of rows at a time.
    constexpr Index block = 1024;
    OwnedMatrix<double> wide(std::min(block, a.cols), rank), gram(rank, rank),
        directions(rank, rank);
    for (Index first = 0; first < a.cols; first += block) {
      const Index count = std::min(block, a.cols - first);
      std::copy_n(z.view().slice(first, count).begin(), count * rank, wide.values.begin());
      cpu::gemm_tn<double>(ctx, wide.view().slice(0, count), wide.view().slice(0, count),
                           gram.view(), Write::add);
    }
    std::vector<double> squares(static_cast<std::size_t>(rank));
    cpu::symmetric_eigen<double>(gram, {squares.data(), {rank}}, directions.view());

    const Index kept = std::min(rank, config.width);
    OwnedMatrix<float> turn(kept, rank), coordinates(rows, kept);  // row i: values[i] · S_i'
    for (Index i = 0; i < kept; ++i) {
      const double square = squares[static_cast<std::size_t>(i)];
      // Below rounding of the largest there is no direction left, only noise.
      const double value = square > 1e-12 * squares[0] ? std::sqrt(square) : 0.0;
      found.values[static_cast<std::size_t>(i)] = value;
      for (Index k = 0; k < rank; ++k) {
        turn.view()(i, k) = static_cast<float>(value * directions.view()(i, k));
      }
    }
    cpu::gemm_nt<float>(ctx, q, turn, coordinates.view(), Write::assign);
    for (Index row = 0; row < rows; ++row) {
      std::copy_n(coordinates.view().row(row).begin(), kept, found.rows.view().row(row).begin());
    }
    return found;
  }

}  // namespace simgr::SIMGR_ABI::text
