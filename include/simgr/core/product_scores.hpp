// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Scores as a product of rows: s(r, i) = queries(r) · keys(i), and where their gradients go.
///
/// What a similarity hands to a loss. The loss decides which scores exist, never all [rows, items]:
///
///   tile           some rows against all candidates
///   cross_entropy  the softmax over all candidates, value and gradient in one visit
///   shared         one list of candidates for all rows
///   chosen         a few candidates for each row
///
/// Gradients  dqueries is assigned, dkeys accumulates
template <class T, class S = Host>
struct ProductScores {
  MatrixArg<T, S> queries;  // [rows, width]
  MatrixArg<T, S> keys;     // [candidates, width]
  Matrix<T, S> dqueries;    // [rows, width]
  Matrix<T, S> dkeys;       // [candidates, width]

  Index rows() const noexcept { return queries.rows(); }
  Index candidates() const noexcept { return keys.rows(); }

  /// scores [count, candidates] of rows first … first + count - 1.
  template <class Ctx>
  void tile(Ctx& ctx, Index first, Index count, Matrix<T, S> scores) const {
    gemm_nt(ctx, queries.slice(first, count), keys, scores, Write::assign);
  }
  // forward: s = q k'.  dq = ds k;  dk += ds' q
  template <class Ctx>
  void tile_backward(Ctx& ctx, Index first, Index count, MatrixArg<T, S> dscores) const {
    gemm_nn(ctx, dscores, keys, dqueries.slice(first, count), Write::assign);
    gemm_tn(ctx, dscores, queries.slice(first, count), dkeys, Write::add);
  }

  /// weight · Σ_r cross-entropy of row r against all candidates; writes dqueries, adds to dkeys.
  ///
  /// @param targets     [rows], a candidate each
  /// @param tile_bytes  memory that a block of scores may take
  template <class Ctx>
  double cross_entropy(Ctx& ctx, std::span<const std::int32_t> targets, T weight,
                       Index tile_bytes) const {
    return static_cast<double>(weight) * catalogue_cross_entropy(ctx, queries, keys, targets,
                                                                 weight, tile_bytes, dqueries,
                                                                 dkeys);
  }

  /// scores [rows, ids] against one list of candidates for all rows.
  /// @param gathered  [ids, width], receives their keys; shared_backward reads them
  template <class Ctx>
  void shared(Ctx& ctx, std::span<const std::int32_t> ids, Matrix<T, S> gathered,
              Matrix<T, S> scores) const {
    gather_rows(ctx, keys, ids, gathered);
    gemm_nt(ctx, queries, gathered, scores, Write::assign);
  }
  // forward: s = q g', g = keys of the list.  dq = ds g;  dkeys(ids) += ds' q
  template <class Ctx>
  void shared_backward(Ctx& ctx, std::span<const std::int32_t> ids, MatrixArg<T, S> gathered,
                       MatrixArg<T, S> dscores) const {
    gemm_nn(ctx, dscores, gathered, dqueries, Write::assign);
    Matrix<T, S> dgathered = ctx.template take<T>(gathered.rows(), gathered.cols());
    gemm_tn(ctx, dscores, queries, dgathered, Write::assign);
    scatter_add_rows(ctx, dgathered, ids, T(1), dkeys);
  }

  /// scores [rows, per_row] against candidates of each row's own; ids [rows, per_row].
  template <class Ctx>
  void chosen(Ctx& ctx, Matrix<const std::int32_t, S> ids, Matrix<T, S> scores) const {
    chosen_dots(ctx, queries, keys, ids, scores);
  }
  template <class Ctx>
  void chosen_backward(Ctx& ctx, Matrix<const std::int32_t, S> ids, MatrixArg<T, S> dscores) const {
    chosen_dots_backward(ctx, queries, keys, ids, dscores, dqueries, dkeys);
  }
};

}  // namespace simgr::SIMGR_ABI
