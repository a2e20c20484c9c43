// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::train {

/// What a task besides the next item has one example of an epoch each: items, or users. Their order is
/// drawn anew every epoch, and a step takes the share of them that it takes of the next items.
struct TaskExamples {
  std::vector<std::int32_t> of;

  /// @param task  its place in the mixture
  void begin_epoch(std::uint64_t seed, Index epoch, Index task) {
    std::sort(of.begin(), of.end());
    Rng rng(seed, 0x616c69676eULL + (static_cast<std::uint64_t>(epoch) << 8) +
                      static_cast<std::uint64_t>(task));
    rng.shuffle(std::span<std::int32_t>(of));
  }
  /// Those that belong to `first` to `last` of `all` next items.
  std::span<const std::int32_t> share(Index first, Index last, Index all) const noexcept {
    const auto count = static_cast<Index>(of.size());
    const Index begin = count * first / all;
    return std::span(of).subspan(static_cast<std::size_t>(begin),
                                 static_cast<std::size_t>(count * last / all - begin));
  }
};

/// Errors  ConfigError: a task without lists in the catalogue;  DataError: a neighbour that is no item
inline void require_lists(std::string_view task, const Ragged<ItemId>& lists, Index items) {
  const std::string field = "catalogue.relations, " + std::string(task) + ": ";
  if (lists.sequences() == 0) {
    SIMGR_THROW(ConfigError(field + "expected lists of all items, found none; make them with "
                                    "simgr/train/relations.hpp, or give the task weight 0"));
  }
  for (Index item = 0; item < lists.sequences(); ++item) {
    for (const ItemId neighbour : lists[item]) {
      if (neighbour < 0 || neighbour >= items) {
        SIMGR_THROW(DataError(field + "item " + std::to_string(item) +
                              ": expected neighbours from 0 to " + std::to_string(items - 1) +
                              ", found " + std::to_string(neighbour)));
      }
    }
  }
}

}  // namespace simgr::SIMGR_ABI::train
