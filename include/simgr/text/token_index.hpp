// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/aligned_text.hpp>

namespace simgr::SIMGR_ABI::text {

/// Tokens in byte order: finds one, or all that a text begins with. Sorted and not hashed, so that
/// no file can be made of colliding tokens.
///
/// Cost  O(log tokens) comparisons a look-up; prefixes: O(bytes · log tokens) for as many bytes as
///       the longest of them and one
class TokenIndex {
public:
  struct Entry {
    std::string_view token;
    TokenId id;
  };
  struct Match {
    TokenId id = -1;
    std::size_t bytes = 0;
  };

  TokenIndex() = default;
  /// Copies the tokens. Of equal ones, the first counts.
  explicit TokenIndex(std::vector<Entry> entries) {
    struct Keyed {
      std::uint64_t key;
      Entry entry;
    };
    std::vector<Keyed> order;
    order.reserve(entries.size());
    for (const Entry& entry : entries) { order.push_back({key_of(entry.token), entry}); }
    std::stable_sort(order.begin(), order.end(), [](const Keyed& a, const Keyed& b) {
      return a.key != b.key ? a.key < b.key : a.entry.token < b.entry.token;
    });
    entries.clear();
    for (const Keyed& keyed : order) {
      if (entries.empty() || entries.back().token != keyed.entry.token) {
        entries.push_back(keyed.entry);
        keys_.push_back(keyed.key);
      }
    }
    std::size_t bytes = 0;
    for (const Entry& entry : entries) { bytes += entry.token.size(); }
    bytes_.reserve(bytes);
    begins_.reserve(entries.size() + 1);
    ids_.reserve(entries.size());
    begins_.push_back(0);
    for (const Entry& entry : entries) {
      bytes_ += entry.token;
      begins_.push_back(bytes_.size());
      ids_.push_back(entry.id);
    }
    std::size_t at = !entries.empty() && entries.front().token.empty() ? 1 : 0;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      first_[byte] = at;
      while (at < ids_.size() && static_cast<unsigned char>(token(at)[0]) == byte) { ++at; }
    }
    first_[256] = at;
  }

  std::size_t size() const noexcept { return ids_.size(); }

  /// The id of a token, or -1.
  TokenId find(std::string_view wanted) const noexcept {
    if (wanted.empty()) {
      return !ids_.empty() && token(0).empty() ? ids_[0] : -1;
    }
    const std::uint64_t key = key_of(wanted);
    auto [low, high] = with_first_byte(wanted[0]);
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      const int order =
          keys_[middle] != key ? (keys_[middle] < key ? -1 : 1) : token(middle).compare(wanted);
      if (order == 0) {
        return ids_[middle];
      }
      (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
    }
    return -1;
  }

  /// Calls f(Match) for every token that `text` begins with, shortest first, but never the empty one.
  template <class F>
  void for_each_prefix(std::string_view text, F&& f) const {
    if (text.empty() || first_[256] == 0) {
      return;
    }
    auto [low, high] = with_first_byte(text[0]);
    // All of [low, high) begin with the first `same` bytes of the text.
    for (std::size_t same = 1; low < high; ++same) {
      if (high - low == 1) {
        if (text.starts_with(token(low))) {
          f(Match{ids_[low], token(low).size()});
        }
        return;
      }
      if (token(low).size() == same) {
        f(Match{ids_[low++], same});
      }
      if (same == text.size()) {
        return;
      }
      const auto byte = static_cast<unsigned char>(text[same]);
      low = first_not_below(low, high, same, byte);
      high = first_not_below(low, high, same, byte + 1u);
    }
  }

  /// The longest token that `text` begins with; no bytes if there is none.
  Match longest_prefix(std::string_view text) const {
    Match longest;
    for_each_prefix(text, [&](Match match) { longest = match; });
    return longest;
  }

private:
  std::string_view token(std::size_t i) const noexcept {
    return std::string_view(bytes_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }
  std::pair<std::size_t, std::size_t> with_first_byte(char c) const noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return {first_[byte], first_[byte + 1u]};
  }
  /// The first of [low, high), tokens longer than `at`, whose byte `at` is not below `byte`.
  std::size_t first_not_below(std::size_t low, std::size_t high, std::size_t at,
                              unsigned byte) const noexcept {
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      const auto found = static_cast<unsigned char>(bytes_[begins_[middle] + at]);
      (found < byte ? low : high) = found < byte ? middle + 1 : middle;
    }
    return low;
  }

  /// The first eight bytes as a number: where two differ, they are in the order of the tokens.
  static std::uint64_t key_of(std::string_view token) noexcept {
    std::uint64_t key = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      key = key << 8 | (i < token.size() ? static_cast<unsigned char>(token[i]) : 0);
    }
    return key;
  }

  std::string bytes_;
  std::vector<std::uint64_t> keys_;
  std::vector<std::size_t> begins_;
  std::vector<TokenId> ids_;
  std::array<std::size_t, 257> first_{};
};

}  // namespace simgr::SIMGR_ABI::text
