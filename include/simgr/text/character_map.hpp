// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/aligned_text.hpp>

namespace simgr::SIMGR_ABI::text {

/// The bytes that a base64 text stands for, or nothing if it is none.
///
/// Source  RFC 4648, section 4
inline std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  if (text.size() % 4 != 0) {
    return std::nullopt;
  }
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t digit = i + padding < text.size() ? alphabet.find(text[i]) : 0;
    if (digit == std::string_view::npos) {
      return std::nullopt;
    }
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    if (i % 4 == 3) {
      for (const int shift : {16, 8, 0}) { bytes += static_cast<char>(bits >> shift & 0xFF); }
    }
  }
  for (std::size_t i = 0; i < padding; ++i) { bytes.pop_back(); }
  return bytes;
}

/// SentencePiece's normalisation as a table: from the left, the longest piece of text that the table
/// has becomes what the table says, anything else stays.
///
/// The table is a double array over UTF-8 bytes, whose leaves are offsets into replacements that end
/// with a NUL. It comes from a file, so every step through it is checked.
///
/// Cost    O(bytes · longest_key)
/// Source  Kudo and Richardson, arXiv 1808.06226; Aoe 1989 for the double array
class CharacterMap {
public:
  static constexpr std::size_t longest_key = 64, longest_replacement = 256;  // bytes

  /// Nothing if `bytes` are no table: its size, units, and replacements.
  static std::optional<CharacterMap> parse(std::string_view bytes) {
    const auto number = [&](std::size_t at) {
      std::uint32_t value = 0;
      for (std::size_t i = 4; i > 0; --i) {
        value = value << 8 | static_cast<unsigned char>(bytes[at + i - 1]);
      }
      return value;
    };
    if (bytes.size() < 4) {
      return std::nullopt;
    }
    const std::size_t size = number(0);
    if (size % 4 != 0 || size > bytes.size() - 4) {
      return std::nullopt;
    }
    CharacterMap map;
    for (std::size_t at = 4; at < 4 + size; at += 4) { map.units_.push_back(number(at)); }
    map.replacements_ = bytes.substr(4 + size);
    std::size_t length = 0;
    for (const char c : map.replacements_) {
      length = c == '\0' ? 0 : length + 1;
      if (length > longest_replacement) {
        return std::nullopt;
      }
    }
    if (length > 0) {
      return std::nullopt;  // the last one has no end
    }
    return map;
  }

  static constexpr int keeps_up_to() noexcept { return -1; }

  void operator()(AlignedCharacters& characters) const {
    AlignedCharacters out;
    out.reserve(characters.size());
    for (std::size_t at = 0; at < characters.size();) {
      const auto [count, replacement] = longest_match(characters, at);
      if (count == 0) {
        out.push_back(characters[at++]);
        continue;
      }
      const TextSpan source = around(characters[at].source, characters[at + count - 1].source);
      std::string_view rest = std::string_view(replacements_).substr(replacement);
      rest = rest.substr(0, rest.find('\0'));
      while (!rest.empty()) {
        const Utf8Step step = decode_utf8(rest);
        out.push_back({step.value, source});
        rest.remove_prefix(step.bytes);
      }
      at += count;
    }
    characters = std::move(out);
  }

private:
  struct Match {
    std::size_t characters = 0, replacement = 0;
  };

  // A unit: bits 0 to 7 and 31 are the byte that leads to it, bit 8 says that a leaf is among its
  // children, bits 10 to 30 are how far they are, times 256 with bit 9. A leaf: bits 0 to 30.
  static std::uint32_t children(std::uint32_t unit) noexcept {
    return unit >> 10 << ((unit & 0x200u) >> 6);
  }

  Match longest_match(const AlignedCharacters& characters, std::size_t at) const {
    Match longest;
    if (units_.empty()) {
      return longest;
    }
    std::size_t node = children(units_[0]), bytes = 0;
    for (std::size_t i = at; i < characters.size(); ++i) {
      std::string utf8;
      append_utf8(utf8, characters[i].value);
      bytes += utf8.size();
      std::uint32_t unit = 0;
      for (const char c : utf8) {
        const auto byte = static_cast<unsigned char>(c);
        node ^= byte;
        unit = node < units_.size() && bytes <= longest_key ? units_[node] : 0;
        if (unit == 0 || (unit & 0x800000FFu) != byte) {
          return longest;
        }
        node ^= children(unit);
      }
      if ((unit & 0x100u) != 0 && node < units_.size()) {
        const std::size_t replacement = units_[node] & 0x7FFFFFFFu;
        if (replacement < replacements_.size()) {
          longest = {i - at + 1, replacement};
        }
      }
    }
    return longest;
  }

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace simgr::SIMGR_ABI::text
