// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Cross-entropy of next tokens over a whole vocabulary, which stands in two tables: words, then rows of
/// items: output vectors, which may be those that are read as well.
///
///   loss = weight · Σ_i -log softmax([states_i · words', states_i · items'])[target_i]
///
/// Shapes      states, dstates [rows, width];  words [words, width], as T or bfloat16;  items [items,
///             width];  targets [rows], words first
/// Gradients   dstates is assigned;  dwords accumulates, unless it is empty;  ditems accumulates
/// Cost        O(rows · (words + items) · width), in memory of `at_a_time` rows of scores
template <class T, class S, class Words, class Ctx>
double token_cross_entropy(MatrixArg<T, S> states, Words words, MatrixArg<T, S> items,
                           std::span<const std::int32_t> targets, T weight, Matrix<T, S> dstates,
                           Matrix<T, S> dwords, Matrix<T, S> ditems, Ctx& ctx) {
  constexpr Index at_a_time = 64;
  const Index all = words.rows() + items.rows();
  double sum = 0;
  for (Index first = 0; first < states.rows(); first += at_a_time) {
    const Index count = std::min(at_a_time, states.rows() - first);
    Arena::Scope scope(ctx.arena);
    const auto take = [&](Index cols) { return ctx.template take<T>(count, cols); };
    const Matrix<T, S> of_words = take(words.rows()), of_items = take(items.rows());
    const MatrixArg<T, S> read = states.slice(first, count);
    gemm_nt(ctx, read, words, of_words, Write::assign);
    gemm_nt(ctx, read, items, of_items, Write::assign);
    const Vector<T, S> row = ctx.template take<T>(all);
    for (Index i = 0; i < count; ++i) {
      std::copy(of_words.row(i).begin(), of_words.row(i).end(), row.begin());
      std::copy(of_items.row(i).begin(), of_items.row(i).end(), row.begin() + words.rows());
      sum +=
          cross_entropy_row(ctx, row, Index{targets[static_cast<std::size_t>(first + i)]}, weight);
      std::copy(row.begin(), row.begin() + words.rows(), of_words.row(i).begin());
      std::copy(row.begin() + words.rows(), row.end(), of_items.row(i).begin());
    }
    const MatrixArg<T, S> dwords_scores = of_words, ditems_scores = of_items;
    const Matrix<T, S> into = dstates.slice(first, count);
    gemm_nn(ctx, dwords_scores, words, into, Write::assign);
    gemm_nn(ctx, ditems_scores, items, into, Write::add);
    if (!dwords.empty()) {
      gemm_tn(ctx, dwords_scores, read, dwords, Write::add);
    }
    gemm_tn(ctx, ditems_scores, read, ditems, Write::add);
  }
  return sum * static_cast<double>(weight);
}

}  // namespace simgr::SIMGR_ABI
