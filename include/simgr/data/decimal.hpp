// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::data {

static_assert(std::endian::native == std::endian::little, "simgr: needs a little-endian machine");

/// One bit for each of the 64 bytes at `text`: set where the byte is not '0' … '9'. Word
/// arithmetic, no instruction set assumed.
constexpr std::uint64_t other_than_digits_by_words(const char* text) noexcept {
  constexpr std::uint64_t each = 0x0101010101010101u;
  std::uint64_t bits = 0;
  for (int word = 0; word < 8; ++word) {
    std::uint64_t bytes = 0;
    for (int i = 0; i < 8; ++i) {
      bytes |= std::uint64_t{static_cast<unsigned char>(text[8 * word + i])} << (8 * i);
    }
    bytes ^= each * '0';  // a digit becomes 0 … 9
    const std::uint64_t high =
        (((bytes & (each * 0x7f)) + each * (0x80 - 10)) | bytes) & (each << 7);
    bits |= (((high >> 7) * 0x0102040810204080u) >> 56) << (8 * word);
  }
  return bits;
}

/// The same; where every processor has SSE2, with it: twice as fast.
inline std::uint64_t other_than_digits(const char* text) noexcept {
#if defined(__SSE2__)
  std::uint64_t bits = 0;
  for (int part = 0; part < 4; ++part) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 16 * part));
    bytes = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(-128 - '0')));  // digits lowest
    bytes = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(static_cast<char>(-128 + 9)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    bits |= std::uint64_t{mask} << (16 * part);
  }
  return bits;
#else
  return other_than_digits_by_words(text);
#endif
}

/// The number whose 1 to 8 digits end at `end`; reads the 8 bytes before `end`.
inline std::int64_t short_decimal(const char* end, Index digits) noexcept {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, end - 8, 8);
  bytes = (bytes ^ 0x3030303030303030u) & (~std::uint64_t{0} << (64 - 8 * digits));
  bytes = bytes * 10 + (bytes >> 8);  // pairs
  constexpr std::uint64_t mask = 0x000000FF000000FFu;
  bytes = (bytes & mask) * (100 + (std::uint64_t{1000000} << 32)) +
          ((bytes >> 16) & mask) * (1 + (std::uint64_t{10000} << 32));
  return static_cast<std::int64_t>(bytes >> 32);
}

/// The number whose 1 to 16 digits end at `end`; reads the 16 bytes before `end`.
inline std::int64_t decimal(const char* end, Index digits) noexcept {
  return digits <= 8 ? short_decimal(end, digits)
                     : short_decimal(end, 8) + 100000000 * short_decimal(end - 8, digits - 8);
}

/// Goes from one number to the next through text that has 64 readable bytes on both sides, such as
/// a block of LineBlocks. Finding ends in a bit mask keeps the chain from one number to the next
/// short, so that the conversions overlap.
class DecimalScanner {
public:
  explicit DecimalScanner(const char* text) noexcept
      : begin_(text), chunk_(text), others_(other_than_digits(text)) {}

  /// Moves to the next byte that is no digit; there must be one.
  [[gnu::always_inline]] void next() noexcept {
    begin_ = end_ == nullptr ? begin_ : end_ + 1;
    while (others_ == 0) {
      chunk_ += 64;
      others_ = other_than_digits(chunk_);
    }
    end_ = chunk_ + std::countr_zero(others_);
    others_ &= others_ - 1;
  }

  const char* begin() const noexcept { return begin_; }  // first digit
  const char* end() const noexcept { return end_; }      // the byte behind the last
  Index digits() const noexcept { return end_ - begin_; }
  char delimiter() const noexcept { return *end_; }
  /// The number; 1 to 16 digits.
  std::int64_t value() const noexcept { return decimal(end_, digits()); }

private:
  const char* begin_;
  const char* end_ = nullptr;
  const char* chunk_;
  std::uint64_t others_;
};

/// The whole of `text` as a number, or nothing.
template <class Number>
std::optional<Number> number_of(std::string_view text) noexcept {
  Number number{};
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || end.ec != std::errc{} || end.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace simgr::SIMGR_ABI::data
