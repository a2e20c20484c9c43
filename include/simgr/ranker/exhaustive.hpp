// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/product_scores.hpp>
#include <simgr/core/view.hpp>
#include <simgr/flow.hpp>
#include <simgr/ranker/seen_items.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// The best items of every row by inner product with every candidate: exact, ties by id, the same
/// for a row alone and in any batch, for any number of shards and on any executor. A listed score
/// is the product summed in double and rounded once.
///
///   lists[row] = the first k of sort(candidates, by (-queries[row] · candidate, id)) that pass
///
/// @param filter  which items a row may list
/// @param shards  parts of the work: of the rows, or of the items where there are fewer rows
///
/// Shapes  queries [rows, width];  candidates [items, width];  ids, scores [rows, k];
///         found [rows]: places written, fewer than k where fewer items pass
/// Cost    one product [rows, items]; nothing of that size is stored
/// Errors  none: queries and candidates that are not finite are a broken precondition
template <class Ctx, Executor E = const Serial>
void rank_products(Ctx& ctx, MatrixArg<float> queries, MatrixArg<float> candidates,
                   const ItemFilter& filter, Matrix<ItemId> ids, Matrix<float> scores,
                   Vector<Index> found, E&& executor = Serial{}, Index shards = 1) {
  const Index rows = queries.rows();
  Arena::Scope scope(ctx.arena);
  const auto rules = ctx.template take<RowRule>(rows);
  for (Index row = 0; row < rows; ++row) {
    const auto memory = ctx.template take<ItemId>(rule_memory(filter, row));
    rules[row] = rule_of(filter, row, candidates.rows(), memory.span());
  }
  rank_by_product(ctx, queries, candidates, std::span<const RowRule>(rules.span()), ids, scores,
                  found, executor, shards);
}

/// The same for scores that are no products, which a scorer gives in tiles: one row at a time, so
/// that a row's list does not depend on its batch.
///
/// Cost     the scores; one row of them in scratch
template <class Ctx, class Scores>
void rank_tiles(Ctx& ctx, const Scores& scores, const ItemFilter& filter, Matrix<ItemId> ids,
                Matrix<float> best, Vector<Index> found) {
  for (Index row = 0; row < scores.rows(); ++row) {
    Arena::Scope scope(ctx.arena);
    const auto memory = ctx.template take<ItemId>(rule_memory(filter, row));
    const RowRule rule = rule_of(filter, row, scores.candidates(), memory.span());
    const Matrix<float> tile = ctx.template take<float>(1, scores.candidates());
    scores.tile(ctx, row, 1, tile);
    found[row] = top_k(ctx, tile.row(0), rule, ids.row(row), best.row(row));
  }
}

/// The ranker of every similarity model: all candidates, best first.
///
/// scores  ProductScores, or whatever has rows(), candidates() and tile(ctx, first, count, scores)
struct Exhaustive {
  using In = flow::ItemScores;
  using Config = NoFields;

  template <class Ctx, class Scores>
  static void rank(Ctx& ctx, const Scores& scores, const ItemFilter& filter, Matrix<ItemId> ids,
                   Matrix<float> best, Vector<Index> found) {
    rank_tiles(ctx, scores, filter, ids, best, found);
  }
  template <class Ctx>
  static void rank(Ctx& ctx, const ProductScores<float>& scores, const ItemFilter& filter,
                   Matrix<ItemId> ids, Matrix<float> best, Vector<Index> found) {
    rank_products(ctx, scores.queries, scores.keys, filter, ids, best, found);
  }
};

}  // namespace simgr::SIMGR_ABI::ranker
