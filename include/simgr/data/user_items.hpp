// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <simgr/core/ragged.hpp>
#include <simgr/core/sparse_rows.hpp>

namespace simgr::SIMGR_ABI::data {

/// Who took what, [users, items]: 1 where an item stands in a user's history, however often.
/// Ids are trusted: 0 to items - 1.
inline SparseRows items_of_users(RaggedView<ItemId> histories, Index items) {
  SparseRows taken;
  taken.cols = items;
  for (Index user = 0; user < histories.sequences(); ++user) {
    const auto begin = static_cast<std::ptrdiff_t>(taken.columns.size());
    const std::span<const ItemId> history = histories[user];
    taken.columns.insert(taken.columns.end(), history.begin(), history.end());
    std::sort(taken.columns.begin() + begin, taken.columns.end());
    taken.columns.erase(std::unique(taken.columns.begin() + begin, taken.columns.end()),
                        taken.columns.end());
    taken.offsets.push_back(taken.entries());
  }
  taken.values.assign(taken.columns.size(), 1.0f);
  return taken;
}

}  // namespace simgr::SIMGR_ABI::data
