// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI::text {

/// A Unicode scalar value and the bytes it takes; a byte that is no UTF-8 is one value, `broken`.
struct Utf8Step {
  char32_t value = 0;
  std::size_t bytes = 1;
};
inline constexpr char32_t broken = 0xFFFD;

/// Decodes the first character of a text that is not empty. Overlong forms, surrogates and values
/// above 0x10FFFF are broken.
constexpr Utf8Step decode_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) {
    return {broken, 1};
  }
  char32_t value = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) {
      return {broken, 1};
    }
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    return {broken, 1};
  }
  return {value, length};
}

/// Lower case of Latin, Greek, Cyrillic and full-width letters; everything else as it is.
constexpr char32_t lower_case(char32_t c) noexcept {
  const auto in = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (in(U'A', U'Z') || (in(0xC0, 0xDE) && c != 0xD7) || in(0x391, 0x3A9) || in(0x410, 0x42F) ||
      in(0xFF21, 0xFF3A)) {
    return c + 32;
  }
  if (in(0x400, 0x40F)) {
    return c + 80;
  }
  if (in(0x139, 0x148) || in(0x179, 0x17E)) {
    return c + (c & 1);  // capitals are odd here
  }
  if ((in(0x100, 0x137) || in(0x14A, 0x177) || in(0x460, 0x481) || in(0x48A, 0x4BF) ||
       in(0x4D0, 0x52F) || in(0x1E00, 0x1E95) || in(0x1EA0, 0x1EFF)) &&
      c != 0x130 && c != 0x131) {
    return c | 1;  // and even here
  }
  return c;
}

/// Characters that make words: letters, digits and marks of any script. Spaces, punctuation,
/// symbols, emoji and broken bytes stand between words.
constexpr bool is_word_character(char32_t c) noexcept {
  const auto in = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (c < 0x80) {
    return in(U'a', U'z') || in(U'A', U'Z') || in(U'0', U'9');
  }
  if (c < 0x100) {
    return c == 0xAA || c == 0xB5 || c == 0xBA || (c >= 0xC0 && c != 0xD7 && c != 0xF7);
  }
  return !(in(0x1680, 0x1680) || in(0x2000, 0x206F) || in(0x20A0, 0x20CF) || in(0x2190, 0x2BFF) ||
           in(0x2E00, 0x2E7F) || in(0x3000, 0x3004) || in(0x3008, 0x3020) || c == 0x30FB ||
           in(0xD800, 0xF8FF) || in(0xFE00, 0xFE6F) || in(0xFF00, 0xFF0F) || in(0xFF1A, 0xFF20) ||
           in(0xFF3B, 0xFF40) || in(0xFF5B, 0xFF65) || in(0xFFE0, 0xFFFF) || in(0x1F000, 0x1FAFF) ||
           c > 0x3FFFF);
}

/// Scripts written without spaces (Han, kana): every character is a word of its own.
constexpr bool is_ideograph(char32_t c) noexcept {
  return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x3FFFF);
}

/// Calls f(hash) for every word of a UTF-8 text, lower-cased, in order. The hash is FNV-1a over the
/// code points; no word is stored.
///
/// Cost  linear time and constant memory for any bytes
template <class F>
constexpr void for_each_word_hash(std::string_view text, F&& f) {
  constexpr std::uint64_t start = 0xCBF29CE484222325u, prime = 0x100000001B3u;
  std::uint64_t hash = start;
  bool inside = false;
  const auto end_word = [&] {
    if (inside) {
      f(hash);
    }
    hash = start;
    inside = false;
  };
  while (!text.empty()) {
    const Utf8Step step = decode_utf8(text);
    text.remove_prefix(step.bytes);
    if (step.value == broken || !is_word_character(step.value)) {
      end_word();
      continue;
    }
    const bool alone = is_ideograph(step.value);
    if (alone) {
      end_word();
    }
    hash = (hash ^ lower_case(step.value)) * prime;
    inside = true;
    if (alone) {
      end_word();
    }
  }
  end_word();
}

}  // namespace simgr::SIMGR_ABI::text
