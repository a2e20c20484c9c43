// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/utf8.hpp>

namespace simgr::SIMGR_ABI::data {

/// How a table is written, and what it may cost.
struct CsvOptions {
  char separator = 0;  // 0: the first of tab, comma, semicolon that the header has
  bool header = true;  // without one, columns are named "1", "2", ...
  bool quotes = true;  // "a ""quoted"" field, with commas and line ends"; RFC 4180
  SourceLimits limits{};
};

/// Reads a table with named columns row by row, plain or gzip, with or without byte order mark,
/// `\n` or `\r\n`. Blank lines are passed over where there are two columns or more.
///
///   while (table.next()) { use(table[column]); }
///   if (table.failure()) { ... }
///
/// Errors  DataError with file and line: no header, a column named twice or not UTF-8, more than
///         4096 columns, a row with fewer or more fields than the header, a quote that is never
///         closed or has text behind it; what LineBlocks reports
class CsvReader {
public:
  static Result<CsvReader> open(const std::string& path, const CsvOptions& options = {}) {
    auto blocks = LineBlocks::open(path, options.limits);
    if (!blocks) {
      return blocks.error();
    }
    CsvReader reader(std::move(*blocks), options);
    if (Failure failure = reader.read_header()) {
      return *std::move(failure);
    }
    return reader;
  }

  const std::vector<std::string>& names() const noexcept { return names_; }
  char separator() const noexcept { return separator_; }

  /// The first names for messages, each behind a blank.
  std::string shown_names() const {
    constexpr std::size_t most = 20;
    std::string list;
    for (std::size_t i = 0; i < std::min(most, names_.size()); ++i) {
      list += " " + printable(names_[i]);
    }
    return names_.size() > most ? list + " and " + std::to_string(names_.size() - most) + " more"
                                : list;
  }
  /// The place of the column of that name.
  /// Errors  DataError with the names that the header has
  Result<std::size_t> column(std::string_view name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found != names_.end()) {
      return static_cast<std::size_t>(found - names_.begin());
    }
    return DataError("there is no column " + data::in_quotes(name) +
                         "; the header has:" + shown_names(),
                     {blocks_.path(), 1, -1, {}});
  }

  /// Goes to the next row; false at the end and on failure.
  bool next() {
    if (held_) {
      held_ = false;
      return true;
    }
    for (;;) {
      if (rest_.empty() && !refill(0)) {
        return false;
      }
      if (rest_.front() == '\n' || rest_.starts_with("\r\n")) {
        const std::size_t end = rest_.front() == '\n' ? 1 : 2;
        if (names_.size() > 1) {
          rest_.remove_prefix(end);
          ++lines_;
          continue;
        }
      }
      const Split split = split_row();
      if (split == Split::unfinished) {
        if (blocks_.at_end()) {
          failure_ = DataError("a quote that opens here is never closed", where());
          return false;
        }
        if (!refill(rest_.size())) {
          return false;
        }
        continue;
      }
      if (split == Split::failed) {
        return false;
      }
      if (!names_.empty() && fields_.size() != names_.size()) {
        failure_ = DataError("expected " + std::to_string(names_.size()) + " fields, found " +
                                 std::to_string(fields_.size()),
                             where());
        return false;
      }
      return true;
    }
  }

  std::size_t fields() const noexcept { return fields_.size(); }
  /// Field of the current row, without quotes; valid until the next call.
  std::string_view operator[](std::size_t column) const noexcept { return fields_[column]; }
  const Failure& failure() const noexcept { return failure_; }
  /// Where the current row begins, for messages; of what column.
  Where where(std::string_view name = {}) const {
    return {blocks_.path(), row_line_, -1, printable(name)};
  }

  /// Whole lines not yet read, with LineBlocks' margin: for readers that take rows of a known form
  /// faster than next() does. What they took they give to `take`.
  std::string_view rest() const noexcept { return held_ ? std::string_view() : rest_; }
  void take(std::size_t bytes, std::int64_t lines) noexcept {
    rest_.remove_prefix(bytes);
    lines_ += lines;
  }

private:
  enum class Split { done, unfinished, failed };

  CsvReader(LineBlocks blocks, const CsvOptions& options)
      : blocks_(std::move(blocks)), options_(options), separator_(options.separator) {}

  bool refill(std::size_t unused) {
    auto block = blocks_.next(unused);
    if (!block) {
      failure_ = block.error();
      return false;
    }
    rest_ = *block;
    return !rest_.empty();
  }

  Split split_row() {
    row_line_ = lines_ + 1;
    fields_.clear();
    std::size_t at = 0, unquoted = 0;
    std::int64_t inner_lines = 0;
    for (;;) {
      if (options_.quotes && rest_[at] == '"') {
        const std::size_t begin = ++at;
        bool doubled = false;
        for (;; at += 2) {
          at = rest_.find('"', at);
          if (at == std::string_view::npos) {
            return Split::unfinished;
          }
          if (at + 1 >= rest_.size() || rest_[at + 1] != '"') {
            break;
          }
          doubled = true;
        }
        std::string_view field = rest_.substr(begin, at - begin);
        inner_lines += std::count(field.begin(), field.end(), '\n');
        if (doubled) {
          if (unquoted == unquoted_.size()) {
            unquoted_.emplace_back();
          }
          std::string& text = unquoted_[unquoted++];
          text.clear();
          for (std::size_t i = 0; i < field.size(); ++i) {
            text += field[i];
            i += field[i] == '"' ? 1 : 0;
          }
          field = text;
        }
        fields_.push_back(field);
        ++at;
        if (rest_[at] != separator_ && rest_[at] != '\n' && rest_.substr(at, 2) != "\r\n") {
          failure_ = DataError("there is text behind the closing quote of field " +
                                   std::to_string(fields_.size()),
                               where());
          return Split::failed;
        }
        at += rest_[at] == '\r' ? 1 : 0;
      } else {
        const std::size_t begin = at;
        while (rest_[at] != separator_ && rest_[at] != '\n') { ++at; }
        std::string_view field = rest_.substr(begin, at - begin);
        if (rest_[at] == '\n' && field.ends_with('\r')) {
          field.remove_suffix(1);
        }
        fields_.push_back(field);
      }
      if (rest_[at] == '\n') {
        rest_.remove_prefix(at + 1);
        lines_ += inner_lines + 1;
        return Split::done;
      }
      ++at;
    }
  }

  Failure read_header() {
    if (!refill(0)) {
      return failure_ ? failure_ : DataError("the file is empty", {blocks_.path(), 1, -1, {}});
    }
    if (separator_ == 0) {
      const std::string_view line = rest_.substr(0, rest_.find('\n'));
      separator_ = line.find('\t') != std::string_view::npos  ? '\t'
                   : line.find(',') != std::string_view::npos ? ','
                   : line.find(';') != std::string_view::npos ? ';'
                                                              : ',';
    }
    if (!next()) {
      return failure_ ? failure_ : DataError("there is no header", {blocks_.path(), 1, -1, {}});
    }
    std::vector<std::string> names;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      std::string name = options_.header ? std::string(fields_[i]) : std::to_string(i + 1);
      if (first_bad_utf8(name) >= 0) {
        return DataError("the name of column " + std::to_string(i + 1) + " is not UTF-8", where());
      }
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        return DataError("two columns are named " + data::in_quotes(name), where());
      }
      if (names.size() == 4096) {
        return DataError("there are more than 4096 columns", where());
      }
      names.push_back(std::move(name));
    }
    names_ = std::move(names);
    held_ = !options_.header;  // what gave the number of columns is a row
    return std::nullopt;
  }

  LineBlocks blocks_;
  CsvOptions options_;
  char separator_;
  std::vector<std::string> names_;
  std::string_view rest_;  // of the current block
  std::vector<std::string_view> fields_;
  std::deque<std::string> unquoted_;  // fields that had doubled quotes; a deque keeps them in place
  std::int64_t lines_ = 0, row_line_ = 0;
  bool held_ = false;  // the current row has not been handed out
  Failure failure_;
};

}  // namespace simgr::SIMGR_ABI::data
