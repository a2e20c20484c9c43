// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/types.hpp>
#include <simgr/data/decimal.hpp>

namespace simgr::SIMGR_ABI::data {

/// Gives keys dense ids by first appearance.
///
/// Keys that are plain numbers (at most 16 digits, no leading zero) never become strings: small
/// ones index a table, others hash as words. The rest are bytes, hashed with a seed that differs
/// from run to run, so that no file can be made of colliding keys; ids do not depend on it.
///
/// Cost  O(1) a key; about 12 to 24 bytes for numbers that are dense, 40 to 150 for scattered ones,
///       40 to 80 and its length for a text
class KeyIndex {
public:
  /// Distinct keys so far.
  Index size() const noexcept { return static_cast<Index>(entries_.size()); }

  /// The id of a number below 10^16.
  std::int32_t number(std::uint64_t key) {
    if (key < direct_.size()) {
      std::int32_t& id = direct_[key];
      return id >= 0 ? id : (id = add(key));
    }
    return far_number(key);
  }

  /// The id of any key.
  std::int32_t text(std::string_view key) {
    if (key.size() <= 16 && !key.empty() && (key.size() == 1 || key.front() != '0')) {
      if (const auto value = number_of<std::uint64_t>(key)) {
        return number(*value);
      }
    }
    if (2 * (texts_ + 1) > by_text_.size()) {
      grow(by_text_);
    }
    const std::uint64_t hash = hash_of(key);
    for (std::size_t at = hash;; ++at) {
      Slot& slot = by_text_[at & (by_text_.size() - 1)];
      if (slot.id < 0) {
        slot = {hash, add(text_flag | bytes_.size() << 24 | key.size())};
        bytes_ += key;
        ++texts_;
        return slot.id;
      }
      if (slot.word == hash && text_of(slot.id) == key) {
        return slot.id;
      }
    }
  }

  /// Longest text key, a bound of its storage.
  static constexpr std::size_t longest_key = (std::size_t{1} << 24) - 1;

  /// Whether every key is its own id.
  bool dense() const noexcept {
    for (std::size_t id = 0; id < entries_.size(); ++id) {
      if (entries_[id] != id) {
        return false;
      }
    }
    return true;
  }

  /// The text of a key, as it was read.
  std::string key(std::int32_t id) const {
    const std::uint64_t entry = entries_[static_cast<std::size_t>(id)];
    return (entry & text_flag) != 0 ? std::string(text_of(id)) : std::to_string(entry);
  }

  /// All keys in the order of ids; empty where they are dense.
  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    if (!dense()) {
      keys.reserve(entries_.size());
      for (Index id = 0; id < size(); ++id) { keys.push_back(key(static_cast<std::int32_t>(id))); }
    }
    return keys;
  }

  /// Gives back the tables; only size() and keys() are of use then.
  void freeze() {
    direct_ = {};
    by_number_ = {};
    by_text_ = {};
  }

private:
  static constexpr std::uint64_t text_flag = std::uint64_t{1} << 63;
  struct Slot {
    std::uint64_t word = 0;
    std::int32_t id = -1;
  };

  std::int32_t add(std::uint64_t entry) {
    entries_.push_back(entry);
    return static_cast<std::int32_t>(entries_.size() - 1);
  }
  std::string_view text_of(std::int32_t id) const noexcept {
    const std::uint64_t entry = entries_[static_cast<std::size_t>(id)];
    return std::string_view(bytes_).substr((entry & ~text_flag) >> 24, entry & longest_key);
  }
  std::uint64_t mix(std::uint64_t word) const noexcept {
    word = (word ^ seed_) * 0x9e3779b97f4a7c15u;
    word ^= word >> 32;
    word *= 0xd6e8feb86659fd93u;
    return word ^ word >> 29;
  }
  std::uint64_t hash_of(std::string_view key) const noexcept {
    std::uint64_t hash = mix(key.size());
    for (std::size_t i = 0; i < key.size(); i += 8) {
      std::uint64_t word = 0;
      const std::size_t rest = key.size() - i;
      std::memcpy(&word, key.data() + i, rest < 8 ? rest : 8);
      hash = mix(hash * 3 ^ word);
    }
    return hash;
  }
  void grow(std::vector<Slot>& table) {
    std::vector<Slot> larger(table.empty() ? 64 : 2 * table.size());
    const bool numbers = &table == &by_number_;
    for (const Slot& slot : table) {
      if (slot.id >= 0) {
        std::size_t at = numbers ? mix(slot.word) : slot.word;
        while (larger[at & (larger.size() - 1)].id >= 0) { ++at; }
        larger[at & (larger.size() - 1)] = slot;
      }
    }
    table = std::move(larger);
  }
  /// A number outside the direct table: the table grows to it while that is justified by the count
  /// of keys, else the number is hashed.
  std::int32_t far_number(std::uint64_t key) {
    const std::uint64_t justified = 16 * (entries_.size() + 256);
    if (key < justified) {
      std::size_t length = direct_.empty() ? 1024 : direct_.size();
      while (length <= key) { length *= 2; }
      direct_.resize(length, -1);
      numbers_ = 0;
      for (Slot& slot : by_number_) {  // those that the table covers now move into it
        if (slot.id >= 0 && slot.word < length) {
          direct_[slot.word] = slot.id;
        }
        numbers_ += slot.id >= 0 ? 1 : 0;
      }
      return number(key);
    }
    if (2 * (numbers_ + 1) > by_number_.size()) {
      grow(by_number_);
    }
    for (std::size_t at = mix(key);; ++at) {
      Slot& slot = by_number_[at & (by_number_.size() - 1)];
      if (slot.id < 0) {
        slot = {key, add(key)};
        ++numbers_;
        return slot.id;
      }
      if (slot.word == key) {
        return slot.id;
      }
    }
  }

  std::vector<std::uint64_t> entries_;  // [ids]: the number, or text_flag | begin << 24 | length
  std::string bytes_;                   // of all text keys
  std::vector<std::int32_t> direct_;    // number to id, -1: none
  std::vector<Slot> by_number_, by_text_;
  std::size_t numbers_ = 0, texts_ = 0;
  std::uint64_t seed_ = reinterpret_cast<std::uintptr_t>(this);  // where the system put us
};

}  // namespace simgr::SIMGR_ABI::data
