// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// An item that may be listed, and its score.
struct ListedItem {
  ItemId item;
  float score;
};

/// The order of every list: score descending, then id ascending. Scores that are NaN come last, so
/// that broken weights make a poor list and no more.
inline bool listed_before(const ListedItem& a, const ListedItem& b) noexcept {
  if (std::isnan(a.score) || std::isnan(b.score)) {  // neither is above the other
    return std::isnan(a.score) == std::isnan(b.score) ? a.item < b.item : std::isnan(b.score);
  }
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

}  // namespace simgr::SIMGR_ABI::ranker
