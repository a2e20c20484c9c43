// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <simgr/core/types.hpp>
#include <simgr/text/words.hpp>

namespace simgr::SIMGR_ABI::data {

/// Where `bytes` stop being UTF-8, or -1. Overlong forms, surrogates and code points above
/// U+10FFFF are not UTF-8.
///
/// Source  RFC 3629, section 4
inline Index first_bad_utf8(std::string_view bytes) noexcept {
  std::size_t i = 0;
  while (i < bytes.size()) {
    std::uint64_t word = 0;
    if (i + 8 <= bytes.size()) {
      std::memcpy(&word, bytes.data() + i, 8);
      if ((word & 0x8080808080808080u) == 0) {
        i += 8;
        continue;
      }
    }
    const text::Utf8Step step = text::decode_utf8(bytes.substr(i));
    if (step.value == text::broken && step.bytes == 1) {  // U+FFFD itself takes three
      return static_cast<Index>(i);
    }
    i += step.bytes;
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
inline std::string in_quotes(std::string_view text) {
  std::string shown(1, '"');
  shown += printable(text);
  shown += '"';
  return shown;
}

}  // namespace simgr::SIMGR_ABI::data
