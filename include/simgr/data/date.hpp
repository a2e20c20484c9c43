// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI::data {

namespace detail {

/// Takes `digits` digits from the front of `text`.
inline std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) {
    return std::nullopt;
  }
  int number = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') {
      return std::nullopt;
    }
    number = 10 * number + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return number;
}

inline bool take(std::string_view& text, char what) {
  const bool there = text.starts_with(what);
  text.remove_prefix(there ? 1 : 0);
  return there;
}

}  // namespace detail

/// Whole seconds since 1970 of a date, or of a date and a time, as ISO 8601 writes them:
/// 2014-07-23, 2014-07-23 09:30, 2014-07-23T09:30:15.25Z, …+02:00. A time without a zone is taken as
/// UTC; fractions are dropped. Nothing where the text is none, or no day of the calendar.
inline std::optional<std::int64_t> seconds_of_date(std::string_view text) {
  using detail::take;
  using detail::take_digits;
  const auto year = take_digits(text, 4);
  const bool dash = take(text, '-');
  const auto month = take_digits(text, 2);
  const bool second_dash = take(text, '-');
  const auto day = take_digits(text, 2);
  if (!year || !month || !day || !dash || !second_dash) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) {
    return std::nullopt;
  }
  std::int64_t seconds =
      std::int64_t{86400} * std::chrono::sys_days(date).time_since_epoch().count();
  if (text.empty()) {
    return seconds;
  }
  if (!take(text, 'T') && !take(text, ' ')) {
    return std::nullopt;
  }
  const auto hour = take_digits(text, 2);
  const bool colon = take(text, ':');
  const auto minute = take_digits(text, 2);
  if (!hour || !minute || !colon || *hour > 23 || *minute > 59) {
    return std::nullopt;
  }
  seconds += 3600 * *hour + 60 * *minute;
  if (take(text, ':')) {
    const auto second = take_digits(text, 2);
    if (!second || *second > 60) {  // 60: a leap second
      return std::nullopt;
    }
    seconds += *second;
    if (take(text, '.') || take(text, ',')) {
      if (!take_digits(text, 1)) {
        return std::nullopt;
      }
      while (take_digits(text, 1)) {}
    }
  }
  if (text.empty() || text == "Z") {
    return seconds;
  }
  const bool east = take(text, '+');
  if (!east && !take(text, '-')) {
    return std::nullopt;
  }
  const auto hours = take_digits(text, 2);
  take(text, ':');
  const auto minutes = text.empty() ? std::optional<int>(0) : take_digits(text, 2);
  if (!hours || !minutes || !text.empty() || *hours > 23 || *minutes > 59) {
    return std::nullopt;
  }
  const std::int64_t offset = 3600 * *hours + 60 * *minutes;
  return east ? seconds - offset : seconds + offset;
}

}  // namespace simgr::SIMGR_ABI::data
