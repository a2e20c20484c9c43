// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <simgr/core/types.hpp>
#include <simgr/ranker/seen_items.hpp>

namespace simgr::SIMGR_ABI {

/// One place of a list: an item and its score.
struct Recommended {
  ItemId item = 0;
  float score = 0;
};

/// Which items a list may hold. `recommend` removes the history's items unless asked otherwise;
/// evaluation keeps them.
struct RecommendOptions {
  ranker::Seen seen = ranker::Seen::remove;
  std::span<const ItemId> deny{};   // never listed
  std::span<const ItemId> allow{};  // where not empty: nothing else is listed
};

}  // namespace simgr::SIMGR_ABI
