// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/ranker/listed_item.hpp>
#include <simgr/ranker/seen_items.hpp>
#include <simgr/tokenizer/trie.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// The best items of tuples with scores, in the order of listed_before. All items of a tuple have its
/// score, except for zeroed ones.
///
/// @param leaves  of the trie, none twice; -1 is passed over
///
/// Shapes  leaves, scores [tuples];  ids, best [k];  returns how many were written
template <class Ctx>
Index list_tuples(Ctx& ctx, const Trie& trie, std::span<const std::int32_t> leaves,
                  std::span<const float> scores, const RowRule& rule, Vector<ItemId> ids,
                  Vector<float> best) {
  Arena::Scope scope(ctx.arena);
  auto most = static_cast<Index>(rule.zeroed.size());
  for (const std::int32_t leaf : leaves) {
    most += leaf < 0 ? 0 : trie.children(trie.digits(), leaf).size();
  }
  const auto places = ctx.template take<ListedItem>(most);
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
  std::sort(places.begin(), places.begin() + count, listed_before);
  count = std::min(count, ids.size());
  for (Index i = 0; i < count; ++i) {
    ids[i] = places[i].item;
    best[i] = places[i].score;
  }
  return count;
}

}  // namespace simgr::SIMGR_ABI::ranker
