// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/words.hpp>

namespace simgr::SIMGR_ABI::text {

/// A row of an embedding table.
using TokenId = std::int32_t;

/// Bytes [begin, end) of the text that a caller gave.
struct TextSpan {
  std::uint32_t begin = 0, end = 0;

  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

/// The smallest span around both.
constexpr TextSpan around(TextSpan a, TextSpan b) noexcept {
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

/// One character and the bytes that it was made of.
struct AlignedCharacter {
  char32_t value = 0;
  TextSpan source{};
};
using AlignedCharacters = std::vector<AlignedCharacter>;

/// UTF-8 and, for every byte, the bytes of the caller's text that it was made of; or, without
/// `sources`, a part of that text as it stands.
struct AlignedText {
  std::string text;
  std::vector<TextSpan> sources{};
  std::uint32_t offset = 0;  // of the first byte in the caller's text, where there are no sources

  /// What the bytes [first, last) were made of: whole characters.
  TextSpan source(std::size_t first, std::size_t last) const noexcept {
    if (!sources.empty() && first < last) {
      return around(sources[first], sources[last - 1]);
    }
    while (first > 0 && first < text.size() && is_continuation(text[first])) { --first; }
    while (last < text.size() && is_continuation(text[last])) { ++last; }
    return {offset + static_cast<std::uint32_t>(first), offset + static_cast<std::uint32_t>(last)};
  }

  /// The bytes [first, last) alone.
  AlignedText part(std::size_t first, std::size_t last) const {
    AlignedText part{
        text.substr(first, last - first), {}, offset + static_cast<std::uint32_t>(first)};
    if (!sources.empty()) {
      part.sources.assign(sources.begin() + static_cast<std::ptrdiff_t>(first),
                          sources.begin() + static_cast<std::ptrdiff_t>(last));
    }
    return part;
  }

private:
  static bool is_continuation(char c) noexcept {
    return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u;
  }
};

/// Appends a Unicode scalar value.
inline void append_utf8(std::string& text, char32_t c) {
  const auto byte = [&](char32_t value) { text += static_cast<char>(value); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xC0 | c >> 6);
    byte(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    byte(0xE0 | c >> 12);
    byte(0x80 | (c >> 6 & 0x3F));
    byte(0x80 | (c & 0x3F));
  } else {
    byte(0xF0 | c >> 18);
    byte(0x80 | (c >> 12 & 0x3F));
    byte(0x80 | (c >> 6 & 0x3F));
    byte(0x80 | (c & 0x3F));
  }
}

/// The characters of a text that begins at byte `begin` of the caller's; bytes that are no UTF-8 are
/// one U+FFFD each.
inline AlignedCharacters characters_of(std::string_view text, std::uint32_t begin = 0) {
  AlignedCharacters characters;
  characters.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = decode_utf8(text);
    const std::uint32_t end = begin + static_cast<std::uint32_t>(step.bytes);
    characters.push_back({step.value, {begin, end}});
    text.remove_prefix(step.bytes);
    begin = end;
  }
  return characters;
}

/// Without `sources` where every character stands where it stood.
inline AlignedText encoded(const AlignedCharacters& characters) {
  AlignedText encoded;
  encoded.offset = characters.empty() ? 0 : characters.front().source.begin;
  bool moved = false;
  std::uint32_t bytes = 0;
  for (const auto& [c, source] : characters) {
    const std::uint32_t begin = encoded.offset + bytes;
    bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    moved = moved || source != TextSpan{begin, encoded.offset + bytes};
  }
  encoded.text.reserve(bytes);
  encoded.sources.reserve(moved ? bytes : 0);
  for (const AlignedCharacter& character : characters) {
    append_utf8(encoded.text, character.value);
    while (moved && encoded.sources.size() < encoded.text.size()) {
      encoded.sources.push_back(character.source);
    }
  }
  return encoded;
}

/// Whether a text is UTF-8 and has no byte above `most`.
inline bool is_utf8_up_to(std::string_view text, int most) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte > most) {
      return false;
    }
    if (byte < 0x80) {
      ++at;
      continue;
    }
    const Utf8Step step = decode_utf8(text.substr(at));
    if (step.bytes == 1) {
      return false;
    }
    at += step.bytes;
  }
  return true;
}

/// Bytes as UTF-8: every longest piece that could begin a character and does not is one U+FFFD.
///
/// Source  The Unicode Standard, section 3.9, "U+FFFD substitution of maximal subparts"
inline std::string repaired_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = decode_utf8(bytes);
    std::size_t taken = step.bytes;
    append_utf8(text, step.value);
    if (step.value == broken && step.bytes == 1) {
      const auto lead = static_cast<unsigned char>(bytes[0]);
      const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
      unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      while (lead <= 0xF4 && taken < length && taken < bytes.size()) {
        const auto next = static_cast<unsigned char>(bytes[taken]);
        if (next < low || next > high) {
          break;
        }
        ++taken;
        low = 0x80;
        high = 0xBF;
      }
    }
    bytes.remove_prefix(taken);
  }
  return text;
}

}  // namespace simgr::SIMGR_ABI::text
