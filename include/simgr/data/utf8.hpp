// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::data {

/// Where `text` stops being UTF-8, or -1. Overlong forms, surrogates and code points above
/// U+10FFFF are not UTF-8.
///
/// Source  RFC 3629, section 4
inline Index first_bad_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t i = 0;
  while (i < text.size()) {
    std::uint64_t word = 0;
    if (i + 8 <= text.size()) {
      std::memcpy(&word, text.data() + i, 8);
      if ((word & 0x8080808080808080u) == 0) {
        i += 8;
        continue;
      }
    }
    const unsigned char first = byte(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = first < 0xc2   ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    if (length == 0 || i + length > text.size()) {
      return static_cast<Index>(i);
    }
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) {
        return static_cast<Index>(i);
      }
    }
    const unsigned char second = byte(i + 1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
      return static_cast<Index>(i);
    }
    i += length;
  }
  return -1;
}

/// The start of a text as messages show it, whatever it holds: at most `most` bytes, tabs as \t and
/// what is not printable ASCII as \xff.
inline std::string printable(std::string_view text, std::size_t most = 40) {
  constexpr char digits[] = "0123456789abcdef";
  std::string shown;
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += c;
    } else if (c == '\t') {
      shown += "\\t";
    } else {
      shown += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return shown + (text.size() > most ? "..." : "");
}
/// The same in quotes.
inline std::string quoted(std::string_view text) {
  return "\"" + printable(text) + "\"";
}

}  // namespace simgr::SIMGR_ABI::data
