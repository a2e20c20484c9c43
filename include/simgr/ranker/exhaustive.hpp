// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>

#include <simgr/core/arena.hpp>
#include <simgr/core/executor.hpp>
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

/// The ranker of every similarity model: all candidates, best first.
struct Exhaustive {
  using In = flow::ItemScores;

  template <class... Arguments>
  static void rank(Arguments&&... arguments) {
    rank_products(std::forward<Arguments>(arguments)...);
  }
};

}  // namespace simgr::SIMGR_ABI::ranker
