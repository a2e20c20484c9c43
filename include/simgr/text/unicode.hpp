// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include <simgr/core/config.hpp>
#include <simgr/text/unicode_categories.hpp>
#include <simgr/text/unicode_lower_case.hpp>

// Classes of characters as published tokenizers ask for them. Unlike <simgr/text/words.hpp>, which
// hashes words and may be coarse, these are the tables of the Unicode Character Database.

namespace simgr::SIMGR_ABI::text {

namespace detail {

template <std::size_t N>
bool in_runs(const std::uint32_t (&bounds)[N], char32_t c) noexcept {
  return ((std::upper_bound(std::begin(bounds), std::end(bounds), c) - std::begin(bounds)) & 1) !=
         0;
}

}  // namespace detail

/// Category L: letters of any script.
inline bool is_letter(char32_t c) noexcept {
  return c < 0x80 ? (c | 32) >= U'a' && (c | 32) <= U'z'
                  : detail::in_runs(detail::letter_bounds, c);
}
/// Category N: digits, numerals, fractions.
inline bool is_number(char32_t c) noexcept {
  return c < 0x80 ? c >= U'0' && c <= U'9' : detail::in_runs(detail::number_bounds, c);
}
/// Category P.
inline bool is_punctuation(char32_t c) noexcept {
  return detail::in_runs(detail::punctuation_bounds, c);
}
/// Category Mn: accents and the like.
inline bool is_nonspacing_mark(char32_t c) noexcept {
  return c >= 0x300 && detail::in_runs(detail::nonspacing_bounds, c);
}
/// Categories Cc, Cf and Co.
inline bool is_control(char32_t c) noexcept {
  return detail::in_runs(detail::control_bounds, c);
}

/// The property White_Space.
constexpr bool is_white_space(char32_t c) noexcept {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

/// The small letter of a capital, anything else as it is. U+0130 has two, which is for the caller.
inline char32_t small_letter(char32_t c) noexcept {
  if (c < 0x80) {
    return c >= U'A' && c <= U'Z' ? c + 32 : c;
  }
  const auto run = std::lower_bound(
      std::begin(detail::lower_case_runs), std::end(detail::lower_case_runs), c,
      [](const detail::LowerCaseRun& each, char32_t value) { return each.last < value; });
  if (run == std::end(detail::lower_case_runs) || c < run->first ||
      (c - run->first) % run->stride != 0) {
    return c;
  }
  return static_cast<char32_t>(static_cast<std::int32_t>(c) + run->delta);
}

}  // namespace simgr::SIMGR_ABI::text
