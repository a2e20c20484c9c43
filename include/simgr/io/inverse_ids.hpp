// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <simgr/tokenizer/collision.hpp>
#include <simgr/tokenizer/item_id.hpp>

namespace simgr::SIMGR_ABI::io {

/// From a tuple of codes back to its items. Items that share a tuple stand side by side. Does not
/// refer to the ids it was made of.
///
/// Cost  items · log(items) comparisons to build, log(items) a look-up; memory: digits + 1 numbers
///       an item
class InverseIds {
public:
  InverseIds() = default;
  explicit InverseIds(const SemanticIds& ids) : digits_(ids.digits()) {
    items_ = tokenizer::group_ids(ids.codes).items;
    codes_.reserve(ids.codes.values.size());
    for (const ItemId item : items_) {
      const auto codes = ids.codes.view().row(item);
      codes_.insert(codes_.end(), codes.begin(), codes.end());
    }
  }

  Index items() const noexcept { return static_cast<Index>(items_.size()); }
  Index digits() const noexcept { return digits_; }

  /// The items with exactly these codes, in ascending order; with fewer codes than digits, all
  /// items below that prefix, ordered by tuple. Empty where there are none.
  std::span<const ItemId> find(std::span<const std::int32_t> codes) const noexcept {
    const auto length = std::min(codes.size(), static_cast<std::size_t>(digits_));
    if (codes.size() > length) {
      return {};
    }
    const auto prefix = [&](ItemId at) {
      return std::span(codes_).subspan(
          static_cast<std::size_t>(at) * static_cast<std::size_t>(digits_), length);
    };
    // Positions in items_, found by halving.
    const auto boundary = [&](auto&& before) {
      Index begin = 0, count = items();
      while (count > 0) {
        const Index half = count / 2;
        if (before(prefix(static_cast<ItemId>(begin + half)))) {
          begin += half + 1;
          count -= half + 1;
        } else {
          count = half;
        }
      }
      return static_cast<std::size_t>(begin);
    };
    const auto less = [](auto a, auto b) {
      return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    };
    const std::size_t first = boundary([&](auto tuple) { return less(tuple, codes); });
    const std::size_t last = boundary([&](auto tuple) { return !less(codes, tuple); });
    return std::span(items_).subspan(first, last - first);
  }

private:
  std::vector<ItemId> items_;        // [items], ordered by tuple, then id
  std::vector<std::int32_t> codes_;  // [items, digits], in the same order
  Index digits_ = 0;
};

}  // namespace simgr::SIMGR_ABI::io
