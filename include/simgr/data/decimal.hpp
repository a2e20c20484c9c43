// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#if defined(__AVX512VBMI2__) && defined(__AVX512BW__)
#include <immintrin.h>
#elif defined(__SSE4_1__)
#include <smmintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::data {

static_assert(std::endian::native == std::endian::little, "simgr: needs a little-endian machine");

/// One bit for each of the 64 bytes at `text`: set where the byte is not '0' … '9'.
/// Word arithmetic, no instruction set assumed.
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

/// The same with vectors, where there are any.
inline std::uint64_t other_than_digits(const char* text) noexcept {
#if defined(__AVX512VBMI2__) && defined(__AVX512BW__)
  const __m512i bytes = _mm512_loadu_si512(text);
  return _mm512_cmpgt_epu8_mask(_mm512_sub_epi8(bytes, _mm512_set1_epi8('0')), _mm512_set1_epi8(9));
#elif defined(__SSE2__)
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
inline std::int64_t decimal_by_words(const char* end, Index digits) noexcept {
  return digits <= 8 ? short_decimal(end, digits)
                     : short_decimal(end, 8) + 100000000 * short_decimal(end - 8, digits - 8);
}

/// The same; with vectors, where all lengths take one way: whether a number has more than eight
/// digits is not to be foretold in a column of times.
[[gnu::always_inline]] inline std::int64_t decimal(const char* end, Index digits) noexcept {
#if defined(__SSE4_1__)
  alignas(16) static constexpr unsigned char kept[32] = {
      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
      0,    0,    0,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(end - 16));
  bytes = _mm_and_si128(_mm_sub_epi8(bytes, _mm_set1_epi8('0')),
                        _mm_loadu_si128(reinterpret_cast<const __m128i*>(kept + digits)));
  const __m128i pairs = _mm_maddubs_epi16(bytes, _mm_set1_epi16(10 + (1 << 8)));
  const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(100 + (1 << 16)));
  const __m128i eights =
      _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(10000 + (1 << 16)));
  const auto halves = static_cast<std::uint64_t>(_mm_cvtsi128_si64(eights));
  return static_cast<std::int64_t>((halves & 0xffffffffu) * 100000000 + (halves >> 32));
#else
  return decimal_by_words(end, digits);
#endif
}

/// Goes from one number to the next through text that has 64 readable bytes on both sides, such as
/// a block of LineBlocks. Finding ends in a bit mask keeps the chain from one number to the next
/// short, so that the conversions overlap. Where the processor packs a mask into a list, ends are
/// listed 512 bytes ahead: one branch in 80 numbers that is not to be foretold, not one in 10.
class DecimalScanner {
public:
  DecimalScanner(const char* text, [[maybe_unused]] const char* stop) noexcept
      : begin_(text), next_chunk_(text) {
#if defined(__AVX512VBMI2__) && defined(__AVX512BW__)
    stop_ = stop;
#endif
  }

  /// Moves to the next byte that is no digit; there must be one before `stop`.
  [[gnu::always_inline]] void next() noexcept {
    begin_ = end_ == nullptr ? begin_ : end_ + 1;
#if defined(__AVX512VBMI2__) && defined(__AVX512BW__)
    while (at_ == listed_) { list_ends(); }
    end_ = chunk_ + ends_[at_++];
#else
    while (others_ == 0) {
      chunk_ = next_chunk_;
      next_chunk_ += 64;
      others_ = other_than_digits(chunk_);
    }
    end_ = chunk_ + std::countr_zero(others_);
    others_ &= others_ - 1;
#endif
  }

  const char* begin() const noexcept {
    return begin_;
  }  // first digit
  const char* end() const noexcept {
    return end_;
  }  // the byte behind the last
  Index digits() const noexcept {
    return end_ - begin_;
  }
  char delimiter() const noexcept {
    return *end_;
  }
  /// 1 to 16 digits.
  [[gnu::always_inline]] std::int64_t value() const noexcept {
    return decimal(end_, digits());
  }

private:
#if defined(__AVX512VBMI2__) && defined(__AVX512BW__)
  [[gnu::always_inline]] void list_ends() noexcept {
    alignas(64) static constexpr auto places = [] {
      std::array<unsigned char, 64> bytes{};
      for (unsigned char i = 0; i < 64; ++i) { bytes[i] = i; }
      return bytes;
    }();
    const __m512i each = _mm512_load_si512(places.data());
    chunk_ = next_chunk_;
    at_ = listed_ = 0;
    short from = 0;
    // The forms with a mask of all: g++ 12 warns of undefined halves in the others (bug 105593).
    constexpr __mmask8 all = 0xff;
    do {
      const std::uint64_t others = other_than_digits(next_chunk_);
      const __m512i packed = _mm512_maskz_compress_epi8(others, each);
      const auto store = [&](std::size_t to, __m256i part) {
        _mm512_storeu_si512(ends_.data() + to,
                            _mm512_add_epi16(_mm512_cvtepu8_epi16(part), _mm512_set1_epi16(from)));
      };
      store(listed_, _mm512_maskz_extracti64x4_epi64(all, packed, 0));
      if (std::popcount(others) > 32) {
        store(listed_ + 32, _mm512_maskz_extracti64x4_epi64(all, packed, 1));
      }
      listed_ += static_cast<std::size_t>(std::popcount(others));
      next_chunk_ += 64;
      from = static_cast<short>(from + 64);
    } while (from < 512 && next_chunk_ < stop_);
  }

  std::array<std::uint16_t, 512> ends_;  // [listed_], from chunk_
  std::size_t at_ = 0, listed_ = 0;
  const char* stop_;
#else
  std::uint64_t others_ = 0;
#endif
  const char *begin_, *end_ = nullptr;
  const char *chunk_ = nullptr, *next_chunk_;
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
