// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::data {

static_assert(std::endian::native == std::endian::little, "simgr: needs a little-endian machine");

/// One bit for each of the 64 bytes at `text`: set where the byte is not '0' … '9'.
/// Word arithmetic, no instruction set assumed; about 1 cycle for 4 bytes.
inline std::uint64_t other_than_digits(const char* text) noexcept {
  constexpr std::uint64_t each = 0x0101010101010101u;
  std::uint64_t bits = 0;
  for (int word = 0; word < 8; ++word) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text + 8 * word, 8);
    bytes ^= each * '0';  // a digit becomes 0 … 9
    const std::uint64_t high =
        (((bytes & (each * 0x7f)) + each * (0x80 - 10)) | bytes) & (each << 7);
    bits |= (((high >> 7) * 0x0102040810204080u) >> 56) << (8 * word);
  }
  return bits;
}

namespace detail {

/// The value of the bytes under `kept` of an 8-digit decimal number; the others count as '0'.
inline std::uint64_t decimal_word(const char* text, std::uint64_t kept) noexcept {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, text, 8);
  bytes = (bytes ^ 0x3030303030303030u) & kept;
  bytes = bytes * 10 + (bytes >> 8);  // pairs
  constexpr std::uint64_t mask = 0x000000FF000000FFu;
  return (((bytes & mask) * (100 + (std::uint64_t{1000000} << 32)) +
           ((bytes >> 16) & mask) * (1 + (std::uint64_t{10000} << 32))) >>
          32) &
         0xFFFFFFFFu;
}

}  // namespace detail

/// The number whose 1 to 8 digits end at `end`; reads the 8 bytes before `end`.
inline std::int64_t short_decimal(const char* end, Index digits) noexcept {
  return static_cast<std::int64_t>(
      detail::decimal_word(end - 8, ~std::uint64_t{0} << (64 - 8 * digits)));
}

/// The number whose 1 to 16 digits end at `end`; reads the 16 bytes before `end`. No branch:
/// lengths of times vary around 8 and would be guessed wrong (3 times slower).
inline std::int64_t decimal(const char* end, Index digits) noexcept {
  const auto kept =
      [](std::uint64_t digits_of_word) {  // 0 … 8; two shifts, as one of 64 is undefined
        const std::uint64_t bits = 64 - 8 * digits_of_word;
        return ~std::uint64_t{0} << (bits / 2) << (bits - bits / 2);
      };
  const auto all = static_cast<std::uint64_t>(digits);
  const std::uint64_t low = all < 8 ? all : 8;
  return static_cast<std::int64_t>(detail::decimal_word(end - 8, kept(low)) +
                                   detail::decimal_word(end - 16, kept(all - low)) * 100000000u);
}

/// Goes from one number to the next through text that has 64 readable bytes on both sides, such as
/// a block of LineBlocks. Finding ends in a bit mask keeps the chain from one number to the next
/// short, so that the conversions overlap.
class DecimalScanner {
public:
  explicit DecimalScanner(const char* text) noexcept
      : begin_(text), chunk_(text), others_(other_than_digits(text)) {}

  /// Moves to the next byte that is no digit; there must be one.
  void next() noexcept {
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
  /// 1 to 16 digits.
  std::int64_t value() const noexcept { return decimal(end_, digits()); }
  /// 1 to 8 digits, faster.
  std::int64_t short_value() const noexcept { return short_decimal(end_, digits()); }

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
