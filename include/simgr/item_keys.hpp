// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>  // std::bit_ceil
#include <cstdint>
#include <cstring>  // std::memcpy
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// From the names a host gives its items to dense ids and back.
///
///   model.recommend(model.item_keys().ids({"B000142FVW", "B0006Z4YUG"}), 10);
///
/// It refers to the keys it was made from; moving their vector is fine, changing it is not. Of equal
/// keys the first item is found.
///
/// Cost  O(keys) to make, 4 to 8 bytes a key; O(1) a look-up, which neither locks nor allocates
class ItemKeys {
public:
  ItemKeys() = default;
  explicit ItemKeys(std::span<const std::string> keys)
      : keys_(keys), salt_(reinterpret_cast<std::uintptr_t>(keys.data())),
        slots_(std::bit_ceil(2 * keys.size() + 1), none) {
    for (std::size_t item = 0; item < keys.size(); ++item) {
      ItemId& slot = slots_[place_of(keys[item])];
      slot = slot == none ? static_cast<ItemId>(item) : slot;
    }
  }

  bool empty() const noexcept { return keys_.empty(); }

  /// The item of that name, where there is one.
  std::optional<ItemId> find(std::string_view key) const noexcept {
    const ItemId item = empty() ? none : slots_[place_of(key)];
    return item == none ? std::nullopt : std::optional(item);
  }

  /// Ids of names, in their order.
  /// Errors  DataError naming the first that no item has
  template <class Keys>
  Result<std::vector<ItemId>> try_ids(const Keys& keys) const {
    std::vector<ItemId> ids;
    for (const std::string_view key : keys) {
      const auto item = find(key);
      if (!item) {
        return DataError("no item has the key \"" + std::string(key.substr(0, 60)) + "\"");
      }
      ids.push_back(*item);
    }
    return ids;
  }
  template <class Keys>
  std::vector<ItemId> ids(const Keys& keys) const {
    return try_ids(keys).value_or_raise();
  }
  std::vector<ItemId> ids(std::initializer_list<std::string_view> keys) const {
    return try_ids(keys).value_or_raise();
  }

  /// The name of an item: its key, or its id where the items have none.
  std::string name(ItemId item) const {
    return keys_.empty() ? std::to_string(item) : keys_[static_cast<std::size_t>(item)];
  }

private:
  static constexpr ItemId none = -1;

  /// The slot of a key, its own or a free one. The hash differs from run to run, so that no file can
  /// be made of keys that all meet.
  std::size_t place_of(std::string_view key) const noexcept {
    std::uint64_t hash = salt_ ^ key.size();
    for (std::size_t i = 0; i < key.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, key.data() + i, std::min<std::size_t>(8, key.size() - i));
      hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 32;
    }
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at] != none && keys_[static_cast<std::size_t>(slots_[at])] != key) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::span<const std::string> keys_;
  std::uint64_t salt_ = 0;
  std::vector<ItemId> slots_;
};

}  // namespace simgr::SIMGR_ABI
