// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/ranker/seen_items.hpp>
#include <simgr/tokenizer/trie.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// The best items of tuples with scores, best first: score descending, then id ascending. All items
/// of a tuple have its score, except for zeroed ones. Scores that are NaN come last, so that broken
/// weights make a poor list and no more.
///
/// @param leaves  of the trie, none twice; -1 is passed over
///
/// Shapes  leaves, scores [tuples];  ids, best [k];  returns how many were written
template <class Ctx>
Index list_tuples(Ctx& ctx, const Trie& trie, std::span<const std::int32_t> leaves,
                  std::span<const float> scores, const RowRule& rule, Vector<ItemId> ids,
                  Vector<float> best) {
  struct Place {
    ItemId item;
    float score;
  };
  Arena::Scope scope(ctx.arena);
  auto most = static_cast<Index>(rule.zeroed.size());
  for (const std::int32_t leaf : leaves) {
    most += leaf < 0 ? 0 : trie.children(trie.digits(), leaf).size();
  }
  const auto places = ctx.template take<Place>(most);
  Index count = 0;
  for (const ItemId item : rule.zeroed) { places[count++] = {item, 0.0f}; }
  for (std::size_t n = 0; n < leaves.size(); ++n) {
    if (leaves[n] < 0) {
      continue;
    }
    for (const ItemId item : trie.items_below(trie.digits(), leaves[n])) {
      if (rule.lists(item)) {
        places[count++] = {item, scores[n]};
      }
    }
  }
  std::sort(places.begin(), places.begin() + count, [](const Place& a, const Place& b) {
    if (std::isnan(a.score) || std::isnan(b.score)) {  // neither is above the other
      return std::isnan(a.score) == std::isnan(b.score) ? a.item < b.item : std::isnan(b.score);
    }
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  });
  count = std::min(count, ids.size());
  for (Index i = 0; i < count; ++i) {
    ids[i] = places[i].item;
    best[i] = places[i].score;
  }
  return count;
}

}  // namespace simgr::SIMGR_ABI::ranker
