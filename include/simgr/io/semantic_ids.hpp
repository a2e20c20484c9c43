// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/data/byte_source.hpp>
#include <simgr/data/term_ids.hpp>
#include <simgr/data/utf8.hpp>
#include <simgr/io/atomic_file.hpp>
#include <simgr/tokenizer/item_id.hpp>

// The file, ids.tsv:
//
//   item<TAB>digits<TAB>codes_per_digit=256 256 3
//   0<TAB>17 203 0
//   1<TAB>17 9 1
//
// one line an item, 0 to items - 1 in order. The third column of the header may be missing: then
// the largest code of a digit and one is its number of codes.

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// The decimal number that is all of `text`, or -1.
inline std::int64_t whole_number(std::string_view text) noexcept {
  std::int64_t number = -1;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  return end.ec == std::errc{} && end.ptr == text.data() + text.size() ? number : -1;
}

/// Takes the text up to the next `separator` off the front of `rest`.
inline std::string_view next_part(std::string_view& rest, char separator) noexcept {
  const std::string_view part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return part;
}

/// Collects codes and keeps their rules: as many in every row, in range, and so few that a table
/// with a row for each is in proportion to the file.
class SemanticIdRows {
public:
  static constexpr std::int64_t largest_code = INT32_MAX - 1;

  /// Appends one code of the row that is being read; empty or what is wrong.
  std::string push(std::int64_t code) {
    if (code < 0 || code > largest_code) {
      return "expected a code from 0 to " + std::to_string(largest_code);
    }
    codes_.push_back(static_cast<std::int32_t>(code));
    return {};
  }
  /// Ends the row; empty or what is wrong.
  std::string end_row() {
    const Index found = static_cast<Index>(codes_.size()) - rows_ * std::max<Index>(digits_, 0);
    if (rows_ == 0) {
      digits_ = found;
    }
    if (found == 0 || found != digits_) {
      return "expected " + (digits_ > 0 ? std::to_string(digits_) : "at least 1") +
             " codes as in the items before, found " + std::to_string(found);
    }
    ++rows_;
    return {};
  }

  Index rows() const noexcept { return rows_; }

  /// @param claimed  codes of each digit as the file says, or empty
  Result<SemanticIds> finish(std::vector<Index> claimed, const std::string& file) {
    if (rows_ == 0) {
      return DataError("holds no items", {.file = file});
    }
    const auto digits = static_cast<std::size_t>(digits_);
    std::vector<Index> used(digits, 0);
    for (std::size_t i = 0; i < codes_.size(); ++i) {
      used[i % digits] = std::max(used[i % digits], Index{codes_[i]} + 1);
    }
    if (claimed.empty()) {
      claimed = used;
    }
    if (claimed.size() != digits) {
      return DataError("codes_per_digit names " + std::to_string(claimed.size()) +
                           " digits, the items have " + std::to_string(digits),
                       {.file = file});
    }
    for (std::size_t digit = 0; digit < digits; ++digit) {
      const std::string name = "digit " + std::to_string(digit);
      if (used[digit] > claimed[digit]) {
        std::size_t place = digit;
        while (Index{codes_[place]} + 1 != used[digit]) { place += digits; }
        return DataError(
            "code " + std::to_string(codes_[place]) + " of item " + std::to_string(place / digits) +
                " is out of range: codes_per_digit says " + std::to_string(claimed[digit]),
            {.file = file, .field = name});
      }
    }
    SemanticIds ids;
    ids.codes.values = std::move(codes_);
    ids.codes.rows = rows_;
    ids.codes.cols = digits_;
    ids.codes_per_digit = std::move(claimed);
    if (const std::string sentence = out_of_proportion(ids); !sentence.empty()) {
      return DataError(sentence, {.file = file});
    }
    return ids;
  }

private:
  std::vector<std::int32_t> codes_;
  Index rows_ = 0, digits_ = 0;
};

/// Reads what stands behind "item<TAB>digits" in the header; empty or what is wrong.
inline std::string parse_codes_per_digit(std::string_view text, std::vector<Index>& counts) {
  constexpr std::string_view mark = "codes_per_digit=";
  if (text.empty()) {
    return {};
  }
  if (!text.starts_with(mark)) {
    return "expected item<TAB>digits or item<TAB>digits<TAB>codes_per_digit=…, found " +
           data::in_quotes(text);
  }
  text.remove_prefix(mark.size());
  while (!text.empty()) {
    const std::string_view part = next_part(text, ' ');
    const std::int64_t count = whole_number(part);
    if (count < 1 || count > SemanticIdRows::largest_code) {
      return "codes_per_digit: expected numbers from 1 to 2147483646, found " +
             data::in_quotes(part);
    }
    counts.push_back(static_cast<Index>(count));
  }
  return counts.empty() ? "codes_per_digit: expected numbers" : "";
}

}  // namespace detail

/// Reads ids.tsv, or an LC-Rec index or terms where the file begins with `{`; plain or gzip. Ids of the
/// first two have no terms.
///
/// Errors  DataError with the line, or the byte of JSON: wrong header, items missing, twice or out
///         of order, another number of codes, a code out of range; IoError
inline Result<data::TermIds> try_read_ids_and_terms(const std::string& path) {
  auto source = data::ByteSource::open(path);
  if (!source) {
    return source.error();
  }
  char first = 0;
  if (auto count = source->read(&first, 1); !count) {
    return count.error();
  }
  if (first == '{') {
    return data::try_read_index_or_terms(path);
  }

  auto lines = data::Lines::open(path);
  if (!lines) {
    return lines.error();
  }
  const auto wrong = [&](const std::string& sentence) {
    return DataError(sentence, lines->where());
  };
  detail::SemanticIdRows rows;
  std::vector<Index> claimed;
  while (lines->next()) {
    std::string_view rest = lines->line();
    if (lines->number() == 1) {
      const std::string_view item = detail::next_part(rest, '\t');
      const std::string_view digits = detail::next_part(rest, '\t');
      if (item != "item" || digits != "digits") {
        return wrong("expected the header item<TAB>digits, found " +
                     data::in_quotes(lines->line()));
      }
      if (const std::string sentence = detail::parse_codes_per_digit(rest, claimed);
          !sentence.empty()) {
        return wrong(sentence);
      }
      continue;
    }
    const std::string_view item = detail::next_part(rest, '\t');
    if (detail::whole_number(item) != rows.rows()) {
      return wrong("expected item " + std::to_string(rows.rows()) + ", found " +
                   data::in_quotes(item));
    }
    std::string sentence;
    while (!rest.empty() && sentence.empty()) {
      const std::string_view code = detail::next_part(rest, ' ');
      sentence = rows.push(detail::whole_number(code));
      sentence += sentence.empty() ? "" : ", found " + data::in_quotes(code);
    }
    sentence = sentence.empty() ? rows.end_row() : sentence;
    if (!sentence.empty()) {
      return wrong(sentence);
    }
  }
  if (lines->failure()) {
    return *lines->failure();
  }
  auto ids = rows.finish(std::move(claimed), path);
  return ids ? Result<data::TermIds>(data::TermIds{std::move(*ids), {}})
             : Result<data::TermIds>(ids.error());
}

inline data::TermIds read_ids_and_terms(const std::string& path) {
  return try_read_ids_and_terms(path).value_or_raise();
}

/// The same without the terms.
inline Result<SemanticIds> try_read_semantic_ids(const std::string& path) {
  auto read = try_read_ids_and_terms(path);
  return read ? Result<SemanticIds>(std::move(read->ids)) : Result<SemanticIds>(read.error());
}

inline SemanticIds read_semantic_ids(const std::string& path) {
  return try_read_semantic_ids(path).value_or_raise();
}

/// Writes ids.tsv; the old file or the whole new one is there at every moment.
///
/// Errors  those of AtomicFile
inline Failure try_write_semantic_ids(const std::string& path, const SemanticIds& ids) {
  std::string text = "item\tdigits\tcodes_per_digit=";
  for (std::size_t digit = 0; digit < ids.codes_per_digit.size(); ++digit) {
    text += (digit > 0 ? " " : "") + std::to_string(ids.codes_per_digit[digit]);
  }
  for (Index item = 0; item < ids.items(); ++item) {
    text += '\n' + std::to_string(item);
    for (Index digit = 0; digit < ids.digits(); ++digit) {
      text += (digit > 0 ? ' ' : '\t') + std::to_string(ids.codes.view()(item, digit));
    }
  }
  return try_replace_file(path, text + '\n');
}

inline void write_semantic_ids(const std::string& path, const SemanticIds& ids) {
  if (Failure failure = try_write_semantic_ids(path, ids)) {
    raise(*failure);
  }
}

/// Writes an index of LC-Rec's form, one line an item: "17": ["<a_3>","<b_250>"]. Read back, digits
/// have as many codes as their largest and one.
///
/// Errors  ConfigError: more than 26 digits, which have no letters;  those of AtomicFile
inline Failure try_write_lc_rec_index(const std::string& path, const SemanticIds& ids) {
  if (ids.digits() > 26) {
    return ConfigError("an index names digits a to z: expected at most 26, found " +
                       std::to_string(ids.digits()));
  }
  std::string text = "{";
  for (Index item = 0; item < ids.items(); ++item) {
    text += (item > 0 ? ",\n\"" : "\n\"") + std::to_string(item) + "\": [";
    for (Index digit = 0; digit < ids.digits(); ++digit) {
      text += (digit > 0 ? ",\"<" : "\"<") + std::string(1, static_cast<char>('a' + digit)) + "_" +
              std::to_string(ids.codes.view()(item, digit)) + ">\"";
    }
    text += "]";
  }
  return try_replace_file(path, text + "\n}\n");
}

inline void write_lc_rec_index(const std::string& path, const SemanticIds& ids) {
  if (Failure failure = try_write_lc_rec_index(path, ids)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
