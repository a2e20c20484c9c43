// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/data/csv.hpp>
#include <simgr/data/date.hpp>
#include <simgr/data/decimal.hpp>
#include <simgr/data/interaction_table.hpp>

namespace simgr::SIMGR_ABI::data {

/// Which columns of a table are what. An empty name means the usual ones, in any case: user,
/// user_id, userid, reviewerid, uid, …; a time column is optional.
struct TableOptions {
  std::string user{}, item{}, time{};
  CsvOptions csv{};
};

namespace detail {

inline constexpr std::size_t longest_key_bytes = 4096;

/// Why a text cannot be a key, or empty.
inline std::string bad_key(std::string_view key) {
  if (key.empty()) {
    return "empty";
  }
  if (key.size() > longest_key_bytes) {
    return "a key of " + std::to_string(key.size()) + " bytes; at most " +
           std::to_string(longest_key_bytes) + " are allowed";
  }
  const Index bad = first_bad_utf8(key);
  return bad < 0 ? "" : "byte " + std::to_string(bad) + " of the key is not UTF-8";
}

/// A whole second, from an integer, a decimal fraction ("1112486027.0", "9.783e8") or a date.
inline std::optional<std::int64_t> time_of(std::string_view text) {
  if (const auto whole = number_of<std::int64_t>(text)) {
    return whole;
  }
  const auto fraction = number_of<double>(text);
  if (!fraction) {
    return seconds_of_date(text);
  }
  if (!(std::abs(*fraction) < 9e15)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(std::floor(*fraction));
}

/// Takes rows of plain numbers from `text` (whole lines, with margins) until one is none.
///
/// @param columns  of user, item and time among `width` (at most 8); time may be -1
/// @param rows     receives how many rows were taken
/// @return         bytes taken
inline std::size_t take_number_rows(std::string_view text, const std::array<int, 3>& columns,
                                    int width, char separator, InteractionTable& table,
                                    std::int64_t& rows) {
  if (text.empty()) {
    return 0;
  }
  const char* const stop = text.data() + text.size();
  DecimalScanner scanner(text.data(), stop);
  const char* taken = text.data();
  std::array<int, 8> slot_of{};
  slot_of.fill(3);  // columns that nobody asked for
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] >= 0) {
      slot_of[static_cast<std::size_t>(columns[i])] = static_cast<int>(i);
    }
  }
  std::array<std::int64_t, 4> slots{};
  while (taken < stop) {
    for (int column = 0; column < width; ++column) {
      scanner.next();
      const Index digits = scanner.digits();
      if (digits < 1 || digits > 16 || (digits > 1 && *scanner.begin() == '0')) {
        return static_cast<std::size_t>(taken - text.data());
      }
      slots[static_cast<std::size_t>(slot_of[static_cast<std::size_t>(column)])] = scanner.value();
      if (column + 1 < width && scanner.delimiter() != separator) {
        return static_cast<std::size_t>(taken - text.data());
      }
    }
    if (scanner.delimiter() == '\r') {
      scanner.next();
      if (scanner.digits() != 0) {
        return static_cast<std::size_t>(taken - text.data());
      }
    }
    if (scanner.delimiter() != '\n') {
      return static_cast<std::size_t>(taken - text.data());
    }
    table.add(table.users.number(static_cast<std::uint64_t>(slots[0])),
              table.items.number(static_cast<std::uint64_t>(slots[1])), slots[2]);
    ++rows;
    taken = scanner.end() + 1;
  }
  return text.size();
}

inline char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

/// The column named `asked`, or the first of the usual names; -1: none is there.
inline Result<int> find_column(const CsvReader& reader, const std::string& asked,
                               std::initializer_list<std::string_view> usual) {
  if (!asked.empty()) {
    auto column = reader.column(asked);
    return column ? Result<int>(static_cast<int>(*column)) : Result<int>(column.error());
  }
  for (const std::string_view name : usual) {
    for (std::size_t i = 0; i < reader.names().size(); ++i) {
      const std::string& have = reader.names()[i];
      if (std::equal(have.begin(), have.end(), name.begin(), name.end(),
                     [](char a, char b) { return lower(a) == b; })) {
        return static_cast<int>(i);
      }
    }
  }
  return -1;
}

/// Reads all rows of an opened table.
inline Result<Interactions> read_rows(CsvReader& reader, const std::array<int, 3>& columns) {
  static constexpr std::array<const char*, 3> parts = {"user", "item", "time"};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (columns[i] == columns[j]) {
        return ConfigError(std::string("one column cannot be both ") + parts[j] + " and " +
                               parts[i],
                           reader.where(reader.names()[static_cast<std::size_t>(columns[i])]));
      }
    }
  }
  const auto user = static_cast<std::size_t>(columns[0]),
             item = static_cast<std::size_t>(columns[1]);
  const bool timed = columns[2] >= 0;
  InteractionTable table(timed);
  const auto width = static_cast<int>(reader.names().size());
  for (int slow_rows = 0;;) {
    if (width <= 8 && slow_rows < 64) {  // a file of text keys is not tried again and again
      std::int64_t rows = 0;
      const std::size_t bytes =
          take_number_rows(reader.rest(), columns, width, reader.separator(), table, rows);
      reader.take(bytes, rows);
      slow_rows = rows > 0 ? 0 : slow_rows + 1;
    }
    if (!reader.next()) {
      break;
    }
    for (const std::size_t column : {user, item}) {
      if (std::string sentence = bad_key(reader[column]); !sentence.empty()) {
        return DataError(sentence, reader.where(reader.names()[column]));
      }
    }
    std::int64_t time = 0;
    if (timed) {
      const auto column = static_cast<std::size_t>(columns[2]);
      const auto read = time_of(reader[column]);
      if (!read) {
        return DataError("expected a time, found " + data::in_quotes(reader[column]) +
                             "; any number that grows with time will do, or a date like "
                             "2014-07-23 or 2014-07-23T09:30:00Z",
                         reader.where(reader.names()[column]));
      }
      time = *read;
    }
    table.add(table.users.text(reader[user]), table.items.text(reader[item]), time);
  }
  if (reader.failure()) {
    return *reader.failure();
  }
  if (table.rows() == 0) {
    return DataError("there are no rows behind the header", reader.where());
  }
  return table.group();
}

}  // namespace detail

/// Reads interactions from a table with one a row: CSV, TSV or semicolons, plain or gzip.
///
/// Users and items get dense ids by first appearance and keep their names as keys (unless those
/// are 0, 1, 2 … in order). Histories are sorted by time; rows of equal time, or all rows where
/// there is no time column, stay in the order of the file.
///
/// Cost    one pass; memory as InteractionTable
/// Errors  DataError with file, line and column: what CsvReader reports; a column that is not there
///         (with those that are); an empty key, one above 4096 bytes or not UTF-8; a time that is
///         neither a number nor a date.  ConfigError: one column for two of user, item and time
inline Result<Interactions> try_read_table(const std::string& path,
                                           const TableOptions& options = {}) {
  auto reader = CsvReader::open(path, options.csv);
  if (!reader) {
    return reader.error();
  }
  std::array<int, 3> columns{};
  const std::string* const asked[] = {&options.user, &options.item, &options.time};
  for (std::size_t i = 0; i < 3; ++i) {
    auto column =
        i == 0   ? detail::find_column(*reader, *asked[i],
                                       {"user", "user_id", "userid", "reviewerid", "reviewer_id",
                                        "uid", "customer_id", "visitorid", "session_id"})
        : i == 1 ? detail::find_column(*reader, *asked[i],
                                       {"item", "item_id", "itemid", "parent_asin", "asin",
                                        "product_id", "productid", "movieid", "movie_id", "iid"})
                 : detail::find_column(*reader, *asked[i],
                                       {"time", "timestamp", "unixreviewtime", "unix_time", "ts"});
    if (!column) {
      return column.error();
    }
    if (*column < 0 && i < 2) {
      const std::string part = i == 0 ? "user" : "item";
      std::string sentence = "none of the columns is known to hold the " + part +
                             "; say which one does; the header has:";
      sentence += reader->shown_names();
      return DataError(sentence, {path, 1, -1, {}});
    }
    columns[i] = *column;
  }
  return detail::read_rows(*reader, columns);
}

inline Interactions read_table(const std::string& path, const TableOptions& options = {}) {
  return try_read_table(path, options).value_or_raise();
}

/// Reads a RecBole atomic file of interactions: tab-separated, no quotes, columns `name:type`.
///
/// @param options  names without their types; by default user_id, item_id and, if there, timestamp
///
/// Errors  as try_read_table; DataError for a column of a type that RecBole does not have, or files
///         whose rows are whole histories (token_seq)
inline Result<Interactions> try_read_inter(const std::string& path, TableOptions options = {}) {
  options.csv.separator = '\t';
  options.csv.quotes = false;
  options.csv.header = true;
  auto reader = CsvReader::open(path, options.csv);
  if (!reader) {
    return reader.error();
  }
  const std::string wanted[] = {options.user.empty() ? "user_id" : options.user,
                                options.item.empty() ? "item_id" : options.item,
                                options.time.empty() ? "timestamp" : options.time};
  std::array<int, 3> columns = {-1, -1, -1};
  for (std::size_t i = 0; i < reader->names().size(); ++i) {
    const std::string_view name = reader->names()[i];
    const std::size_t colon = name.rfind(':');
    const std::string_view type =
        colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
    if (type != "token" && type != "float" && type != "token_seq" && type != "float_seq") {
      return DataError("expected name:type with type token, float, token_seq or float_seq",
                       {path, 1, -1, printable(name)});
    }
    const std::string_view bare = name.substr(0, colon);
    if (type == "token_seq" && bare == wanted[1] + "_list") {
      return DataError("rows with whole histories are windows of sequences, not interactions",
                       {path, 1, -1, printable(name)});
    }
    for (std::size_t part = 0; part < 3; ++part) {
      if (bare == wanted[part] && type.size() == 5) {
        columns[part] = static_cast<int>(i);
      }
    }
  }
  for (std::size_t part = 0; part < 3; ++part) {
    if (columns[part] < 0 && (part < 2 || !options.time.empty())) {
      return reader->column(wanted[part] + (part < 2 ? ":token" : ":float")).error();
    }
  }
  return detail::read_rows(*reader, columns);
}

inline Interactions read_inter(const std::string& path, const TableOptions& options = {}) {
  return try_read_inter(path, options).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
