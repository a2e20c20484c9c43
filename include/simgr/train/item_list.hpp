// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include <simgr/core/arena.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/ranker/seen_items.hpp>
#include <simgr/recommend_options.hpp>

namespace simgr::SIMGR_ABI::train {

/// The list of one history, of a model that is no Recommender.
///
/// @param list  how many are asked for, and where they are written
/// @param rank  rank(ctx, filter, ids, scores, found): one row of the best
///
/// @return  places written
///
/// Errors  DataError: an item of the history that is not one of the catalogue's
template <class Rank>
Index list_items(Arena& arena, Index items, std::span<const ItemId> history,
                 const RecommendOptions& options, std::span<Recommended> list, Rank&& rank) {
  for (const ItemId item : history) {
    if (item < 0 || item >= items) {
      SIMGR_THROW(DataError("history: item " + std::to_string(item) + " is not one of 0 to " +
                            std::to_string(items - 1)));
    }
  }
  Arena::Scope scope(arena);
  cpu::Context ctx{arena};
  const auto one_row = [&](std::span<const ItemId> values, bool always) {
    const auto offsets = ctx.take<Index>(2);
    offsets[0] = 0;
    offsets[1] = static_cast<Index>(values.size());
    return always || !values.empty() ? RaggedView<ItemId>{values, Offsets(offsets.span())}
                                     : RaggedView<ItemId>{};
  };
  const ranker::ItemFilter filter{options.seen, one_row(history, true),
                                  one_row(options.deny, false), one_row(options.allow, false)};
  const Index places = std::min(static_cast<Index>(list.size()), items);
  const Matrix<ItemId> ids = ctx.take<ItemId>(1, places);
  const Matrix<float> scores = ctx.take<float>(1, places);
  Index found = 0;
  rank(ctx, filter, ids, scores, Vector<Index>(&found, {1}));
  for (Index place = 0; place < found; ++place) {
    list[static_cast<std::size_t>(place)] = {ids(0, place), scores(0, place)};
  }
  return found;
}

}  // namespace simgr::SIMGR_ABI::train
