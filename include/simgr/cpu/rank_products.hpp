// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/executor.hpp>
#include <simgr/cpu/product_tiles.hpp>
#include <simgr/cpu/topk.hpp>

// Exact ranking by inner products. Fast float products decide only what cannot matter; what might
// is decided by exact_product, which does not depend on tile, batch, shard or processor.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// Offers candidates [first, first + part.rows()) to the lists best[row] of all queries.
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
        const auto count = static_cast<Index>(scores.size());
        // k items that may be listed reach the floor by float, hence floor - margin exactly.
        const float floor =
            kept.size() > 0 ? kept.threshold()
                            : reached_by(scores.data(), count,
                                         kept.capacity() + static_cast<Index>(rule.skip.size())) -
                                  margin;
        visit_reaching(
            scores.data(), count, [&] { return std::max(kept.threshold(), floor) - margin; },
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
/// A rule says what its row may list, see ranker::RowRule. Rows are split into `shards` parts, or
/// the candidates where there are fewer rows than shards.
///
/// Shapes  queries [rows, width];  candidates [items, width];  rules [rows];
///         ids, scores [rows, k];  found [rows]: how many of the k were written
/// Cost    one product [rows, items], never whole; scratch from the arena, at width 64 about
///         250 KiB a shard, and 8 bytes a place
/// Errors  none: queries and candidates that are not finite are a broken precondition
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
  const auto scratch = ctx.take<float>(shards, product_scratch(per_shard, width));
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
