// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/decimal.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/key_index.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/utf8.hpp>

namespace simgr::SIMGR_ABI::data {

namespace detail {

/// Reads lines `user<TAB>items` into lists, in the order of the file.
class RankingParser {
public:
  RankingParser(const Interactions& interactions, const Evaluation& cases)
      : items_(interactions.items), users_(interactions.users()),
        line_of_(static_cast<std::size_t>(users_), 0),
        listed_(static_cast<std::size_t>(items_), 0) {
    for (Index user = 0; user < users_; ++user) {
      if (interactions.user_keys.empty()) {
        names_.number(static_cast<std::uint64_t>(user));
      } else {
        names_.text(interactions.user_keys[static_cast<std::size_t>(user)]);
      }
    }
    evaluated_ = cases.users;
  }

  Failure line(const Lines& lines) {
    const std::string_view text = lines.line();
    const std::size_t tab = text.find('\t');
    if (tab == std::string_view::npos) {
      return DataError("expected user<TAB>items, found " + in_quotes(text), lines.where());
    }
    const std::string_view name = text.substr(0, tab);
    const std::int32_t user = name.size() > KeyIndex::longest_key ? -1 : names_.text(name);
    if (user < 0 || user >= users_) {
      return DataError("no user of the data is named " + in_quotes(name), lines.where("user"));
    }
    std::int64_t& line = line_of_[static_cast<std::size_t>(user)];
    if (line != 0) {
      return DataError("user " + std::string(name) + " has a list in line " + std::to_string(line) +
                           " already",
                       lines.where("user"));
    }
    line = lines.number();
    return list(text.substr(tab + 1), lines, user);
  }

  /// One list a case.
  Result<Ragged<ItemId>> finish(const std::string& path) const {
    std::vector<Index> place(static_cast<std::size_t>(users_), -1);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      place[static_cast<std::size_t>(order_[i])] = static_cast<Index>(i);
    }
    Ragged<ItemId> lists;
    Index missing = 0;
    std::int32_t first = -1;
    for (const UserId user : evaluated_) {
      const Index at = place[static_cast<std::size_t>(user)];
      if (at < 0) {
        first = missing++ == 0 ? static_cast<std::int32_t>(user) : first;
      } else {
        lists.push_back(read_[at]);
      }
    }
    if (missing > 0) {
      return DataError("expected a list for each of the " + std::to_string(evaluated_.size()) +
                           " users that are evaluated, found none for " + std::to_string(missing) +
                           " of them, first user " + names_.key(first) +
                           "; a user and a tab alone are an empty list",
                       {.file = path});
    }
    return lists;
  }

private:
  Failure list(std::string_view rest, const Lines& lines, std::int32_t user) {
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      const std::string_view word = rest.substr(0, end);
      const auto item = number_of<std::int64_t>(word);
      if (!item || end + 1 == rest.size()) {  // no number, or a blank at the end
        return DataError("expected numbers with one blank between them, found " +
                             in_quotes(item ? rest : word),
                         lines.where("items"));
      }
      if (*item < 0 || *item >= items_) {
        return DataError("item " + std::to_string(*item) + " is out of range: there are " +
                             std::to_string(items_) + " items",
                         lines.where("items"));
      }
      std::int64_t& line = listed_[static_cast<std::size_t>(*item)];
      if (line == lines.number()) {
        return DataError("item " + std::to_string(*item) + " stands twice in one list",
                         lines.where("items"));
      }
      line = lines.number();
      read_.values.push_back(static_cast<ItemId>(*item));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    read_.offsets.push_back(read_.tokens());
    order_.push_back(user);
    return std::nullopt;
  }

  Index items_, users_;
  KeyIndex names_;
  std::vector<UserId> evaluated_;
  std::vector<std::int64_t> line_of_, listed_;  // [users], [items]: the line that has them; 0: none
  Ragged<ItemId> read_;
  std::vector<std::int32_t> order_;  // users of read_
};

}  // namespace detail

/// Reads what any system recommends: one line `user<TAB>items` a user, best item first, ids separated by
/// one blank, in any order of users, with or without that header. Plain or gzip. Gives one list a case.
///
/// Users are named and items numbered as in the file of sequences. Lists may be short or empty, and hold
/// items of the history; lists of users who are not evaluated are checked and not used.
///
/// Cost    one pass, memory of the lists and 8 bytes a user and item
/// Errors  DataError with file, line and column: no tab, a user that is unknown or has a list already, an
///         item that is no number, out of range or twice in one list; with the file: evaluated users
///         without a line; what ByteSource reports
inline Result<Ragged<ItemId>> try_read_rankings(const std::string& path,
                                                const Interactions& interactions,
                                                const Evaluation& cases,
                                                const SourceLimits& limits = {}) {
  auto lines = Lines::open(path, limits);
  if (!lines) {
    return lines.error();
  }
  detail::RankingParser parser(interactions, cases);
  while (lines->next()) {
    if (lines->number() == 1 && lines->line() == "user\titems") {
      continue;
    }
    if (Failure failure = parser.line(*lines)) {
      return *std::move(failure);
    }
  }
  if (lines->failure()) {
    return *lines->failure();
  }
  return parser.finish(path);
}

inline Ragged<ItemId> read_rankings(const std::string& path, const Interactions& interactions,
                                    const Evaluation& cases, const SourceLimits& limits = {}) {
  return try_read_rankings(path, interactions, cases, limits).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
