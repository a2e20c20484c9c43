// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>
#include <string_view>

#include <simgr/core/arena.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Which codes compete in the softmax of a digit.
enum class DigitSupport {
  level,  // those of the digit: RPG
  whole   // those of all digits, as in the vocabulary of a language model
};

constexpr std::array<std::string_view, 2> names_of(DigitSupport) noexcept {
  return {"level", "whole"};
}

/// Scores of digits as products of rows, and where their gradients go: what a similarity over
/// DigitCodebooks hands to a loss and to a ranker.
///
///   s(r, j, c) = queries(r, j) · keys(first row of digit j + c)
///   log p_j(r, ·) = log softmax of s(r, j, ·) over the codes that compete
///   score of item i = 1/digits Σ_j log p_j(r, code j of i)
///
/// Cost       of a row: 2 Σ codes · width flops, and items · digits look-ups
/// Gradients  dqueries is assigned, dkeys accumulates
/// Source     item score: RPG (arXiv 2506.05781)
template <class T, class S = Host>
struct DigitProducts {
  MatrixArg<T, S> queries;  // [rows · digits, width]: the digits of a row stand together
  MatrixArg<T, S> keys;     // [table rows, width]
  Matrix<T, S> dqueries;    // [rows · digits, width]
  Matrix<T, S> dkeys;       // [table rows, width]
  ItemsView<S> items;
  DigitSupport support = DigitSupport::level;

  Index digits() const noexcept { return items.digit_rows.cols(); }
  Index rows() const noexcept { return queries.rows() / digits(); }
  Index candidates() const noexcept { return items.digit_rows.rows(); }

  /// weight · Σ_r Σ_j cross-entropy of digit j of target r; writes dqueries, adds to dkeys.
  ///
  /// @param targets     [rows], an item each
  /// @param tile_bytes  memory that a block of scores may take
  template <class Ctx>
  double cross_entropy(Ctx& ctx, std::span<const std::int32_t> targets, T weight,
                       Index tile_bytes) const {
    const Index m = digits(), count = rows();
    const auto codes = ctx.template take<std::int32_t>(count * m);
    double sum = 0;
    if (support == DigitSupport::whole) {
      for (Index r = 0; r < count; ++r) {
        for (Index j = 0; j < m; ++j) { codes[r * m + j] = code_row(targets, r, j); }
      }
      sum = catalogue_cross_entropy(ctx, queries, keys, std::span<const std::int32_t>(codes.span()),
                                    weight, tile_bytes, dqueries, dkeys);
    } else {
      const auto of_digit = ctx.template take<std::int32_t>(count);
      const Matrix<T, S> q = ctx.template take<T>(count, queries.cols()),
                         dq = ctx.template take<T>(count, queries.cols());
      for (Index j = 0; j < m; ++j) {
        const Index first = start(j), competing = start(j + 1) - first;
        for (Index r = 0; r < count; ++r) {
          codes[r] = static_cast<std::int32_t>(r * m + j);
          of_digit[r] = static_cast<std::int32_t>(code_row(targets, r, j) - first);
        }
        const std::span<const std::int32_t> own(codes.slice(0, count).span());
        gather_rows(ctx, queries, own, q);
        sum += catalogue_cross_entropy(ctx, q, keys.slice(first, competing),
                                       std::span<const std::int32_t>(of_digit.span()), weight,
                                       tile_bytes, dq, dkeys.slice(first, competing));
        for (Index r = 0; r < count; ++r) {
          copy(ctx, dq.row(r), dqueries.row(r * m + j), Write::assign);
        }
      }
    }
    return sum * static_cast<double>(weight);
  }

  /// log p of every code, for rows first … first + count - 1:   out [count, table rows]
  template <class Ctx>
  void log_probabilities(Ctx& ctx, Index first, Index count, Matrix<T, S> out) const {
    const Index m = digits();
    Arena::Scope scope(ctx.arena);
    const auto whole = ctx.template take<T>(support == DigitSupport::whole ? m : 0, keys.rows());
    for (Index r = 0; r < count; ++r) {
      const MatrixArg<T, S> own = queries.slice((first + r) * m, m);
      if (support == DigitSupport::whole) {
        gemm_nt(ctx, own, keys, whole, Write::assign);
        log_softmax_rows(ctx, whole, whole);
      }
      for (Index j = 0; j < m; ++j) {
        const Index begin = start(j), competing = start(j + 1) - begin;
        const Matrix<T, S> part(out.row(r).data() + begin, {1, competing});
        if (support == DigitSupport::whole) {
          copy(ctx, whole.row(j).slice(begin, competing), out.row(r).slice(begin, competing),
               Write::assign);
        } else {
          gemm_nt(ctx, own.slice(j, 1), keys.slice(begin, competing), part, Write::assign);
          log_softmax_rows(ctx, part, part);
        }
      }
    }
  }
  /// scores [count, items] of rows first … first + count - 1.
  template <class Ctx>
  void tile(Ctx& ctx, Index first, Index count, Matrix<T, S> scores) const {
    const auto logs = ctx.template take<T>(1, keys.rows());
    for (Index r = 0; r < count; ++r) {
      log_probabilities(ctx, first + r, 1, logs);
      sum_of_looked_up(ctx, logs.row(0), items.digit_rows, T(1) / static_cast<T>(digits()),
                       scores.row(r));
    }
  }
  /// The score of one item, from log_probabilities of one row.
  T item_score(VectorArg<T, S> logs, Index item) const noexcept {
    const std::int32_t* const rows = items.digit_rows.row(item).data();
    T sum = 0;
    for (Index j = 0; j < digits(); ++j) { sum += logs[rows[j]]; }
    return sum / static_cast<T>(digits());
  }

private:
  Index start(Index digit) const noexcept {
    return items.digit_starts[static_cast<std::size_t>(digit)];
  }
  std::int32_t code_row(std::span<const std::int32_t> targets, Index r, Index j) const noexcept {
    return items.digit_rows(targets[static_cast<std::size_t>(r)], j);
  }
};

}  // namespace simgr::SIMGR_ABI
