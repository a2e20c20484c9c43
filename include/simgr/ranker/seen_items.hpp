// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// What becomes of the items a user has already met. Published figures differ in it, so every
/// figure says which one is meant.
enum class Seen {
  keep,   // they compete like all others: the protocol of most papers, default of the evaluation
  zero,   // their score is 0, which may be better than another's: S3-Rec and HGN
  remove  // they are never listed: default of recommend
};

constexpr std::array<std::string_view, 3> names_of(Seen) noexcept {
  return {"keep", "zero", "remove"};
}

/// Which items a row may list. Lists hold ids in any order, repeated or not; ids outside the
/// catalogue are ignored. `deny` wins over `allow`.
struct ItemFilter {
  Seen seen = Seen::keep;
  RaggedView<ItemId> histories{};  // [rows]; read where `seen` is not keep
  RaggedView<ItemId> deny{};       // none, one list for all rows, or [rows]
  RaggedView<ItemId> allow{};      // none (every item), one list for all rows, or [rows]

  /// The list of a row, which may be one for all rows.
  static std::span<const ItemId> of_row(const RaggedView<ItemId>& lists, Index row) noexcept {
    return lists.sequences() == 0 ? std::span<const ItemId>{}
                                  : lists[lists.sequences() == 1 ? 0 : row];
  }
};

/// What one row may list, next to the order of its scores: a filter made ready for the ops.
struct RowRule {
  std::span<const ItemId> skip;    // ascending: never listed by their score
  std::span<const ItemId> zeroed;  // ascending: listed with score 0; all of them are in `skip` too
  std::span<const ItemId> only;    // ascending: where `restricted`, the only ones listed
  bool restricted = false;

  static bool holds(std::span<const ItemId> set, ItemId id) noexcept {
    return !set.empty() && std::binary_search(set.begin(), set.end(), id);
  }
  bool skips(ItemId id) const noexcept { return holds(skip, id); }
  /// Whether `id` may be listed by its score.
  bool lists(ItemId id) const noexcept { return !skips(id) && (!restricted || holds(only, id)); }
};

/// Memory that rule_of needs for a row, in ids.
inline Index rule_memory(const ItemFilter& filter, Index row) noexcept {
  const auto length = [&](const RaggedView<ItemId>& lists) {
    return static_cast<Index>(ItemFilter::of_row(lists, row).size());
  };
  const Index seen =
      filter.seen == Seen::keep ? 0 : static_cast<Index>(filter.histories[row].size());
  return 2 * seen + length(filter.deny) + length(filter.allow);
}

/// The rule of a row of a catalogue of `items`.
///
/// @param memory  [rule_memory(filter, row)], borrowed by the result
///
/// Cost  O(length · log(length)) of its lists; O(history · deny) where `seen` is zero
inline RowRule rule_of(const ItemFilter& filter, Index row, Index items,
                       std::span<ItemId> memory) noexcept {
  const auto take_set = [&](std::span<const ItemId> first, std::span<const ItemId> second) {
    std::size_t count = 0;
    for (const auto list : {first, second}) {
      for (const ItemId id : list) {
        if (id >= 0 && id < items) {
          memory[count++] = id;
        }
      }
    }
    const auto set = memory.first(count);
    std::sort(set.begin(), set.end());
    memory = memory.subspan(count);
    return std::span<const ItemId>(
        set.first(static_cast<std::size_t>(std::unique(set.begin(), set.end()) - set.begin())));
  };
  const auto deny = ItemFilter::of_row(filter.deny, row);
  const auto seen = filter.seen == Seen::keep ? std::span<const ItemId>{} : filter.histories[row];
  RowRule rule;
  rule.skip = take_set(deny, seen);
  rule.restricted = filter.allow.sequences() != 0;
  if (rule.restricted) {
    rule.only = take_set(ItemFilter::of_row(filter.allow, row), {});
  }
  if (filter.seen == Seen::zero) {
    const std::span<ItemId> place = memory;
    const auto met = take_set(seen, {});
    std::size_t count = 0;
    for (const ItemId id : met) {
      const bool denied = std::find(deny.begin(), deny.end(), id) != deny.end();
      if (!denied && (!rule.restricted || RowRule::holds(rule.only, id))) {
        place[count++] = id;
      }
    }
    rule.zeroed = place.first(count);
  }
  return rule;
}

}  // namespace simgr::SIMGR_ABI::ranker
