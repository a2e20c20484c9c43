// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <simgr/core/executor.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/topk.hpp>

// Exact ranking by inner products. Fast float products decide only what cannot matter; what might
// is decided by exact_product, which does not depend on tile, batch, shard or processor.

namespace simgr::SIMGR_ABI::cpu {

/// The score of a pair: summed in double in a fixed order (products of floats are exact there),
/// rounded once. The same bits on every machine.
inline float exact_product(const float* a, const float* b, Index width) noexcept {
  double lane[8] = {};
  const Index whole = width / 8 * 8;
  for (Index j = 0; j < whole; j += 8) {
    for (Index l = 0; l < 8; ++l) {
      lane[l] += static_cast<double>(a[j + l]) * static_cast<double>(b[j + l]);
    }
  }
  for (Index j = whole; j < width; ++j) {
    lane[j - whole] += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  }
  return static_cast<float>(((lane[0] + lane[4]) + (lane[2] + lane[6])) +
                            ((lane[1] + lane[5]) + (lane[3] + lane[7])));
}

/// Sum of squares in float, in any order; NaN and infinity come through.
inline float sum_of_squares(const float* a, Index count) noexcept {
  float lane[16] = {};
  const Index whole = count / 16 * 16;
  for (Index j = 0; j < whole; j += 16) {
    for (Index l = 0; l < 16; ++l) { lane[l] += a[j + l] * a[j + l]; }
  }
  for (Index j = whole; j < count; ++j) { lane[j - whole] += a[j] * a[j]; }
  float sum = 0;
  for (const float part : lane) { sum += part; }
  return sum;
}

/// A bound on |float product - exact_product| for any order of summation:
/// width · 2^-24 · |a| · |b|, with room for the rounding of the bound itself, and a floor below
/// which squares would underflow. Infinite or NaN where the product may be: then all is exact.
inline float product_margin(float a_squares, float b_squares, Index width) noexcept {
  constexpr float floor = 1e-30f;
  const float a = std::sqrt(a_squares < floor ? floor : a_squares);
  const float b = std::sqrt(b_squares < floor ? floor : b_squares);
  return static_cast<float>(width + 4) * 6.2e-8f * a * b + 1e-30f;
}

/// Rows and items of one tile of products; its scores stay in the second-level cache.
inline constexpr Index product_tile_rows = 256, product_tile_items = 512;

/// Scratch of one visit_product_tiles, in floats.
inline Index product_scratch(Index rows) noexcept {
  return std::min(rows, product_tile_rows) * (product_tile_items + 1);
}

/// The float products of queries and candidates, tile by tile: calls
/// visit(row, first_item, scores, margin) for every row of every tile, where `scores` are the
/// products with candidates first_item … and differ from exact_product by at most `margin`.
/// The tiles of one row come in ascending order of items.
///
/// Shapes   queries [rows, width], candidates [items, width], scratch [product_scratch(rows)]
template <class Visit>
void visit_product_tiles(MatrixArg<float> queries, MatrixArg<float> candidates,
                         std::span<float> scratch, Visit&& visit) {
  const Index width = queries.cols();
  for (Index row = 0; row < queries.rows(); row += product_tile_rows) {
    const auto tile = queries.slice(row, std::min(product_tile_rows, queries.rows() - row));
    float* scores = scratch.data();
    float* squares = scores + tile.rows() * product_tile_items;
    for (Index i = 0; i < tile.rows(); ++i) {
      squares[i] = sum_of_squares(tile.data() + i * width, width);
    }
    for (Index item = 0; item < candidates.rows(); item += product_tile_items) {
      const auto part =
          candidates.slice(item, std::min(product_tile_items, candidates.rows() - item));
      float largest = 0;
      for (Index j = 0; j < part.rows(); ++j) {
        const float square = sum_of_squares(part.data() + j * width, width);
        largest = square <= largest ? largest : square;  // NaN comes through
      }
      as_eigen(Matrix<float>{scores, {tile.rows(), part.rows()}}).noalias() =
          as_eigen(tile) * as_eigen(part).transpose();
      for (Index i = 0; i < tile.rows(); ++i) {
        visit(
            row + i, item,
            std::span<const float>(scores + i * part.rows(), static_cast<std::size_t>(part.rows())),
            product_margin(squares[i], largest, width));
      }
    }
  }
}

namespace detail {

/// Ranks `rows` of the queries against candidates [first, first + part.rows()).
template <class Rules>
void rank_part(MatrixArg<float> queries, MatrixArg<float> part, Index first, Rules rules,
               BestItems* best, std::span<float> scratch) {
  const Index width = queries.cols();
  visit_product_tiles(
      queries, part, scratch,
      [&](Index row, Index item, std::span<const float> scores, float margin) {
        const auto& rule = rules[row];
        if (rule.restricted) {
          return;
        }
        BestItems& kept = best[row];
        const float* query = queries.data() + row * width;
        visit_reaching(
            scores.data(), static_cast<Index>(scores.size()),
            [&] { return kept.threshold() - margin; },
            [&](Index i) {
              const auto id = static_cast<ItemId>(first + item + i);
              if (!rule.skips(id)) {
                kept.offer(exact_product(query, part.data() + (item + i) * width, width), id);
              }
            });
      });
}

}  // namespace detail

/// The k best candidates of every row by inner product, exactly: score (exact_product) descending,
/// id ascending on ties. The same result for any batch, number of shards and executor.
///
/// A rule says what its row may list: ranker::RowRule.
///
/// Rows are split into `shards` parts, or the candidates where there are fewer rows than shards.
///
/// Shapes   queries [rows, width], candidates [items, width], rules [rows],
///          ids and scores [rows, k], found [rows]: how many of the k were written
/// Cost     one product; scratch from the arena, about half a MiB a shard and 8 bytes a place
/// Errors   none: queries and candidates must be finite
template <class Rule, Executor E>
void rank_by_product(Context& ctx, MatrixArg<float> queries, MatrixArg<float> candidates,
                     std::span<const Rule> rules, Matrix<ItemId> ids, Matrix<float> scores,
                     Vector<Index> found, E& executor, Index shards) {
  const Index rows = queries.rows(), items = candidates.rows(), width = queries.cols();
  const Index k = std::min(ids.cols(), items);
  SIMGR_ASSERT(candidates.cols() == width && ids.rows() == rows && scores.rows() == rows &&
                   scores.cols() == ids.cols() && found.size() == rows &&
                   static_cast<Index>(rules.size()) == rows,
               "rank_by_product: shapes");
  if (rows == 0) {
    return;
  }
  shards = std::max<Index>(shards, 1);
  const bool by_rows = rows >= shards;
  const Index lists = by_rows ? 1 : shards;  // of every row
  const Index per_shard = by_rows ? (rows + shards - 1) / shards : rows;
  Arena::Scope scope(ctx.arena);
  const auto keys = ctx.take<std::uint64_t>(lists * rows, k);
  const auto best = ctx.take<BestItems>(lists * rows);
  const auto scratch = ctx.take<float>(shards, product_scratch(per_shard));
  for (Index i = 0; i < lists * rows; ++i) { best[i] = BestItems(keys.row(i).span()); }

  // Items with a score of their own go first: they raise the threshold for all others.
  for (Index row = 0; row < rows; ++row) {
    const auto& rule = rules[static_cast<std::size_t>(row)];
    const float* query = queries.data() + row * width;
    if (rule.restricted) {
      for (const ItemId id : rule.only) {
        if (!rule.skips(id)) {
          best[row].offer(exact_product(query, candidates.data() + id * width, width), id);
        }
      }
    }
    for (const ItemId id : rule.zeroed) { best[row].offer(0.0f, id); }
  }
  executor.for_each(shards, [&](Index shard) {
    if (by_rows) {
      const Index begin = std::min(rows, shard * per_shard);
      const Index count = std::min(rows, begin + per_shard) - begin;
      detail::rank_part(queries.slice(begin, count), candidates, 0, rules.data() + begin,
                        best.data() + begin, scratch.row(shard).span());
    } else {
      const Index begin = items * shard / shards;
      detail::rank_part(queries, candidates.slice(begin, items * (shard + 1) / shards - begin),
                        begin, rules.data(), best.data() + shard * rows, scratch.row(shard).span());
    }
  });
  for (Index row = 0; row < rows; ++row) {
    for (Index list = 1; list < lists; ++list) { best[row].merge(best[list * rows + row]); }
    found[row] = best[row].finish(ids.row(row).span(), scores.row(row).span());
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
