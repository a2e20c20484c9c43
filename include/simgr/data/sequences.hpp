// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>

#include <simgr/core/error.hpp>
#include <simgr/core/proportion.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/decimal.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/utf8.hpp>

namespace simgr::SIMGR_ABI::data {

/// What the reader of sequences insists on, and what a file may cost.
struct SequenceOptions {
  Index items = 0;  // size of the catalogue; 0: the largest id and one
  SourceLimits limits{};
};

namespace detail {

/// Reads blocks of `user<TAB>items[<TAB>times]` lines into Interactions.
class SequenceParser {
public:
  SequenceParser(const std::string& path, const SequenceOptions& options)
      : path_(path), options_(options) {}

  Failure header(std::string_view& block) {
    const std::size_t end = block.find('\n');
    std::string_view line = block.substr(0, end);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    timed_ = line == "user\titems\ttimes";
    if (!timed_ && line != "user\titems") {
      return fail("header",
                  "expected user<TAB>items or user<TAB>items<TAB>times, found " + in_quotes(line));
    }
    if (!block.empty()) {
      block.remove_prefix(end + 1);
      ++line_;
    }
    return std::nullopt;
  }

  /// Takes one block of whole lines.
  /// @param file_bytes  about the size of the whole text: the result is reserved from its share in
  ///                    the first block
  Failure lines(std::string_view block, std::int64_t file_bytes) {
    auto& offsets = result_.histories.offsets;
    const bool first_block = offsets.size() == 1;
    std::size_t items = 0, times = 0;  // in scratch
    const char* const stop = block.data() + block.size();
    DecimalScanner scanner(block.data(), stop);
    const char* at = block.data();
    while (at < stop) {
      scanner.next();
      if (scanner.delimiter() != '\t' || !fits(scanner, 16)) {
        return bad_number(scanner, "user", "\\t");
      }
      if (Failure failure = add_user(scanner.value())) {
        return failure;
      }
      const Index first = offsets.back();
      std::int64_t largest = largest_;
      do {
        scanner.next();
        const std::int64_t item = fits(scanner, 16) ? scanner.value() : -1;
        if (item < 0 || item > largest_id) {
          return bad_number(scanner, "items", timed_ ? "a blank or \\t" : "a blank or \\n");
        }
        if (items == scratch) {
          take_items(items);
        }
        items_[items++] = static_cast<ItemId>(item);
        largest = std::max(largest, item);
      } while (scanner.delimiter() == ' ');
      largest_ = largest;
      const Index count = taken_items() + static_cast<Index>(items) - first;
      if (options_.items > 0 && largest_ >= options_.items) {
        return fail("items", "item " + std::to_string(largest_) + " is out of range: there are " +
                                 std::to_string(options_.items) + " items");
      }
      if (timed_) {
        if (scanner.delimiter() != '\t') {
          return bad_number(scanner, "items", "a blank or \\t");
        }
        std::int64_t last = 0;
        bool sorted = true;
        do {
          scanner.next();
          if (!fits(scanner, 16)) {
            return bad_number(scanner, "times", "a blank or \\n");
          }
          const std::int64_t value = scanner.value();
          if (times == scratch) {
            take_times(times);
          }
          times_[times++] = value;
          sorted = sorted && value >= last;
          last = value;
        } while (scanner.delimiter() == ' ');
        const Index found = taken_times() + static_cast<Index>(times) - first;
        if (found != count) {
          return fail("times", "expected " + std::to_string(count) + " times, found " +
                                   std::to_string(found));
        }
        if (!sorted) {
          return fail("times", "a history must be oldest first, but times decrease");
        }
      }
      if (scanner.delimiter() == '\r' && scanner.end()[1] == '\n') {
        scanner.next();
      }
      if (scanner.delimiter() != '\n') {
        return bad_number(scanner, timed_ ? "times" : "items", "a blank or \\n");
      }
      at = scanner.end() + 1;
      ++line_;
      offsets.push_back(first + count);
    }
    take_items(items);
    take_times(times);
    if (first_block && !block.empty()) {
      reserve(static_cast<double>(file_bytes) / static_cast<double>(block.size()));
    }
    return std::nullopt;
  }

  Result<Interactions> finish() {
    if (result_.users() == 0) {
      return DataError("there are no users behind the header", {path_, line_, -1, {}});
    }
    // One wild id must not make every later table of items huge.
    if (options_.items == 0 && largest_ > most_rows_named_in(result_.histories.tokens())) {
      return DataError("the largest item id is " + std::to_string(largest_) + " among " +
                           std::to_string(result_.histories.tokens()) +
                           " interactions; ids must be dense, 0 to items - 1",
                       {path_, -1, -1, "items"});
    }
    result_.items = options_.items > 0 ? options_.items : largest_ + 1;
    return std::move(result_);
  }

private:
  static constexpr std::int64_t largest_id = INT32_MAX - 1;

  Failure fail(std::string column, const std::string& sentence) const {
    return DataError(sentence, {path_, line_ + 1, -1, std::move(column)});
  }
  static bool fits(const DecimalScanner& scanner, Index most) noexcept {
    return scanner.digits() >= 1 && scanner.digits() <= most;
  }
  /// What is wrong between the last good number and `scanner`.
  Failure bad_number(const DecimalScanner& scanner, const char* column, const char* behind) const {
    const std::string_view digits(scanner.begin(), static_cast<std::size_t>(scanner.digits()));
    const char delimiter = scanner.delimiter();
    const bool separator = delimiter == ' ' || delimiter == '\t' || delimiter == '\n';
    if (digits.empty() && (separator || delimiter == '\r')) {
      return fail(column, "empty: expected a number");
    }
    if (delimiter == '-') {
      return fail(column, "negative numbers are not ids or times");
    }
    if (static_cast<unsigned char>(delimiter) >= 0x80) {
      return fail(column, "expected a number, found bytes that are not ASCII");
    }
    if (!separator && delimiter != '\r') {
      const std::string_view found(scanner.begin(), static_cast<std::size_t>(scanner.digits() + 1));
      return fail(column, "expected a number, found " + in_quotes(found));
    }
    if (digits.size() > 16 ||
        decimal(scanner.end(), static_cast<Index>(digits.size())) > largest_id) {
      return fail(column, "the number " + std::string(digits.substr(0, 40)) + " is out of range");
    }
    return fail(column,
                std::string("expected ") + behind + " behind " + std::string(digits.substr(0, 40)));
  }
  Failure add_user(std::int64_t user) {
    const Index users = result_.users();
    if (names_.empty() && user == users) {
      return std::nullopt;
    }
    if (names_.empty()) {  // the first that is not its place: from here on names are kept
      for (Index u = 0; u < users; ++u) {
        names_.insert(u);
        result_.user_keys.push_back(std::to_string(u));
      }
    }
    if (!names_.insert(user).second) {
      return fail("user", "user " + std::to_string(user) + " has a line already");
    }
    result_.user_keys.push_back(std::to_string(user));
    return std::nullopt;
  }
  Index taken_items() const noexcept { return result_.histories.tokens(); }
  Index taken_times() const noexcept { return static_cast<Index>(result_.times.size()); }
  void take_items(std::size_t& count) {
    auto& values = result_.histories.values;
    values.insert(values.end(), items_.begin(), items_.begin() + static_cast<Index>(count));
    count = 0;
  }
  void take_times(std::size_t& count) {
    auto& times = result_.times;
    times.insert(times.end(), times_.begin(), times_.begin() + static_cast<Index>(count));
    count = 0;
  }
  /// Makes room for `blocks` times what there is, and an eighth. The size of a file is a claim, a
  /// sparse one costs nothing: beyond 2^27 values room grows with what was read.
  void reserve(double blocks) {
    const auto room = [&](auto& values) {
      const double wanted = 1.125 * blocks * static_cast<double>(values.size());
      values.reserve(static_cast<std::size_t>(std::min(wanted, 0x1p27)));
    };
    room(result_.histories.values);
    room(result_.histories.offsets);
    room(result_.times);
  }

  // Numbers pass through a scratch that stays in the first-level cache, so that the loops over them
  // store through one pointer.
  static constexpr std::size_t scratch = 1024;
  std::string path_;
  SequenceOptions options_;
  Interactions result_;
  bool timed_ = false;
  std::int64_t line_ = 0;  // whole lines read
  std::int64_t largest_ = 0;
  std::array<ItemId, scratch> items_;
  std::array<std::int64_t, scratch> times_;
  std::unordered_set<std::int64_t> names_;
};

}  // namespace detail

/// Reads the uniform file: a header `user<TAB>items[<TAB>times]`, then one line a user with its
/// item ids, oldest first, separated by blanks, and as many times. Plain or gzip.
///
/// Ids of items are dense, 0 to items - 1. Users keep their numbers as keys, unless those are
/// 0, 1, 2 … in order.
///
/// Cost    one pass, memory of the result and one block
/// Errors  DataError with file, line and column: another header, an id that is not a number or out
///         of range, an empty history, a user twice, other than one time for each item, decreasing
///         times; what ByteSource reports
inline Result<Interactions> try_read_sequences(const std::string& path,
                                               const SequenceOptions& options = {}) {
  auto blocks = LineBlocks::open(path, options.limits);
  if (!blocks) {
    return blocks.error();
  }
  detail::SequenceParser parser(path, options);
  for (bool first = true;; first = false) {
    auto block = blocks->next();
    if (!block) {
      return block.error();
    }
    if (first) {
      if (Failure failure = parser.header(*block)) {
        return *std::move(failure);
      }
    } else if (block->empty()) {
      return parser.finish();
    }
    if (Failure failure = parser.lines(*block, blocks->expected_bytes())) {
      return *std::move(failure);
    }
  }
}

inline Interactions read_sequences(const std::string& path, const SequenceOptions& options = {}) {
  return try_read_sequences(path, options).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
