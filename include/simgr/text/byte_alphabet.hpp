// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <simgr/core/config.hpp>
#include <simgr/text/aligned_text.hpp>

namespace simgr::SIMGR_ABI::text {

// Byte-level vocabularies write every byte as a printable character: those of Latin-1 that can be
// seen stand for themselves, the others are U+0100, U+0101 … in order.
//
// Source  Radford et al., GPT-2, 2019: its published vocabulary

/// The character that a byte is written as.
constexpr char32_t byte_character(unsigned char byte) noexcept {
  const auto visible = [](unsigned value) {
    return (value >= 0x21 && value <= 0x7E) || (value >= 0xA1 && value != 0xAD);
  };
  if (visible(byte)) {
    return byte;
  }
  char32_t hidden = 0x100;
  for (unsigned value = 0; value < byte; ++value) { hidden += visible(value) ? 0 : 1; }
  return hidden;
}

namespace detail {

inline constexpr char32_t byte_characters_end = 0x144;
inline constexpr std::array<int, byte_characters_end> bytes_of_characters = [] {
  std::array<int, byte_characters_end> bytes{};
  bytes.fill(-1);
  for (unsigned byte = 0; byte < 256; ++byte) {
    bytes[byte_character(static_cast<unsigned char>(byte))] = static_cast<int>(byte);
  }
  return bytes;
}();

}  // namespace detail

/// Appends the bytes that a token is written for; false, and nothing is appended, where one of its
/// characters stands for none.
inline bool append_bytes_of(std::string_view token, std::string& bytes) {
  const std::size_t before = bytes.size();
  while (!token.empty()) {
    const Utf8Step step = decode_utf8(token);
    const int byte =
        step.value < detail::byte_characters_end ? detail::bytes_of_characters[step.value] : -1;
    if (byte < 0) {
      bytes.resize(before);
      return false;
    }
    bytes += static_cast<char>(byte);
    token.remove_prefix(step.bytes);
  }
  return true;
}

/// The token for one byte in vocabularies of characters: "<0x0A>".
inline std::string byte_token(unsigned char byte) {
  constexpr char digits[] = "0123456789ABCDEF";
  return std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + '>';
}

}  // namespace simgr::SIMGR_ABI::text
