// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// Slicing by eight: table[k][b] is the remainder of byte b followed by k zero bytes.
inline constexpr auto crc32c_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) { crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u); }
    table[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = table[k - 1][byte];
      table[k][byte] = (before >> 8) ^ table[0][before & 255];
    }
  }
  return table;
}();

inline std::uint32_t crc32c_by_table(std::uint32_t state, const std::byte* data,
                                     std::size_t bytes) noexcept {
  const auto& table = crc32c_tables;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    word ^= state;
    state = 0;
    for (std::size_t k = 0; k < 8; ++k) { state ^= table[7 - k][(word >> (8 * k)) & 255]; }
  }
  for (; bytes > 0; ++data, --bytes) {
    state = (state >> 8) ^ table[0][(state ^ static_cast<std::uint32_t>(*data)) & 255];
  }
  return state;
}

#if defined(__x86_64__) && defined(__GNUC__)
/// The processor's own instruction, asked for at run time: one body whatever the flags, so that
/// translation units built differently may share it.
__attribute__((target("sse4.2"))) inline std::uint32_t
crc32c_by_instruction(std::uint32_t state, const std::byte* data, std::size_t bytes) noexcept {
  std::uint64_t wide = state;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  state = static_cast<std::uint32_t>(wide);
  for (; bytes > 0; ++data, --bytes) {
    state = __builtin_ia32_crc32qi(state, static_cast<unsigned char>(*data));
  }
  return state;
}
#endif

}  // namespace detail

/// CRC-32C (Castagnoli) of `bytes`, continuing from the checksum of what came before.
///
/// Finds every error of up to 32 adjacent bits, and every pair and triple of flipped bits in the
/// sizes of this field; it does not protect against somebody who means it.
///
/// Source  RFC 3720, appendix B.4
inline std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("sse4.2")) {
    return ~detail::crc32c_by_instruction(~before, bytes.data(), bytes.size());
  }
#endif
  return ~detail::crc32c_by_table(~before, bytes.data(), bytes.size());
}

inline std::uint32_t crc32c(std::string_view text, std::uint32_t before = 0) noexcept {
  return crc32c(std::as_bytes(std::span(text.data(), text.size())), before);
}

/// Eight lower-case hexadecimal digits.
inline std::string checksum_text(std::uint32_t checksum) {
  std::string text(8, '0');
  for (std::size_t i = 8; i-- > 0; checksum >>= 4) { text[i] = "0123456789abcdef"[checksum & 15]; }
  return text;
}

}  // namespace simgr::SIMGR_ABI::io
