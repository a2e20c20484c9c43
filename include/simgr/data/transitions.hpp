// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <simgr/core/ragged.hpp>
#include <simgr/core/sparse_rows.hpp>

namespace simgr::SIMGR_ABI::data {

/// How often item v stands right behind item h, over all places of all histories: entry (h, v).
/// Ids are trusted: 0 to items - 1. Counts above 2^24 are rounded.
///
/// Cost  O(items + n log n) for n transitions
inline SparseRows successor_counts(RaggedView<ItemId> histories, Index items) {
  std::vector<Index> begins(static_cast<std::size_t>(items) + 1, 0);
  const auto visit = [&](auto&& transition) {
    for (Index user = 0; user < histories.sequences(); ++user) {
      const std::span<const ItemId> history = histories[user];
      for (std::size_t t = 1; t < history.size(); ++t) {
        transition(static_cast<std::size_t>(history[t - 1]), history[t]);
      }
    }
  };
  visit([&](std::size_t from, ItemId) { ++begins[from + 1]; });
  for (std::size_t i = 1; i < begins.size(); ++i) { begins[i] += begins[i - 1]; }
  std::vector<ItemId> behind(static_cast<std::size_t>(begins.back()));
  std::vector<Index> next = begins;
  visit([&](std::size_t from, ItemId to) { behind[static_cast<std::size_t>(next[from]++)] = to; });

  SparseRows counts;
  counts.cols = items;
  for (std::size_t from = 0; from + 1 < begins.size(); ++from) {
    const auto first = behind.begin() + begins[from], end = behind.begin() + begins[from + 1];
    std::sort(first, end);
    for (auto to = first; to != end;) {
      const auto other = std::upper_bound(to, end, *to);
      counts.columns.push_back(*to);
      counts.values.push_back(static_cast<float>(other - to));
      to = other;
    }
    counts.offsets.push_back(counts.entries());
  }
  return counts;
}

}  // namespace simgr::SIMGR_ABI::data
