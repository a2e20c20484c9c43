// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Scores as a product of rows: s(r, i) = queries(r) · keys(i), and where their gradients go.
///
/// What a similarity hands to a loss. The loss decides which scores exist, never all [rows, items]:
///
///   tile           some rows against all candidates
///   cross_entropy  the softmax over all candidates, value and gradient in one visit
///   cross_entropy_of_parts   the same of each part of queries and keys, on its own
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
  Index parts = 1;          // vectors side by side in a query, and in a key

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

  /// weight · Σ_r Σ_j cross-entropy of part j of row r against part j of all candidates; writes
  /// dqueries, adds to dkeys.
  template <class Ctx>
  double cross_entropy_of_parts(Ctx& ctx, std::span<const std::int32_t> targets, T weight,
                                Index tile_bytes) const {
    Arena::Scope scope(ctx.arena);
    const Index width = queries.cols() / parts;
    const auto one_below_another = [&](auto matrix) {
      return decltype(matrix)(matrix.data(), {matrix.rows() * parts, width});
    };
    const auto take = [&](Index count) { return ctx.template take<T>(count, width); };
    const Matrix<T, S> q = take(rows()), dq = take(rows()), k = take(candidates()),
                       dk = take(candidates());
    const auto places = ctx.template take<std::int32_t>(std::max(rows(), candidates()));
    fill(ctx, dqueries, T(0));
    double sum = 0;
    for (Index j = 0; j < parts; ++j) {
      for (Index i = 0; i < places.size(); ++i) {
        places[i] = static_cast<std::int32_t>(i * parts + j);
      }
      const std::span<const std::int32_t> of_part(places.span());
      gather_rows(ctx, one_below_another(queries), of_part, q);
      gather_rows(ctx, one_below_another(keys), of_part, k);
      fill(ctx, dk, T(0));
      sum += catalogue_cross_entropy(ctx, q, k, targets, weight, tile_bytes, dq, dk);
      scatter_add_rows(ctx, dq, of_part, T(1), one_below_another(dqueries));
      scatter_add_rows(ctx, dk, of_part, T(1), one_below_another(dkeys));
    }
    return static_cast<double>(weight) * sum;
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
