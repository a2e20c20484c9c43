// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/interaction_table.hpp>
#include <simgr/data/items.hpp>
#include <simgr/data/json.hpp>
#include <simgr/data/python_literal.hpp>
#include <simgr/data/tables.hpp>

namespace simgr::SIMGR_ABI::data {

namespace detail {

/// The fields of a review that matter, taken from its events; a call returns what is wrong.
struct ReviewFields {
  std::string user, item, parent;
  std::int64_t time = 0;
  bool timed = false, milliseconds = false, object = false;

  std::string operator()(const JsonEvent& event) {
    using Kind = JsonEvent::Kind;
    if (event.depth == 0) {
      object = object || event.kind == Kind::begin_object;
      return object ? "" : "expected an object";
    }
    if (event.depth == 1 && event.kind == Kind::key) {
      field_ = event.text == "reviewerID" || event.text == "user_id" ? 'u'
               : event.text == "asin"                                ? 'i'
               : event.text == "parent_asin"                         ? 'p'
               : event.text == "unixReviewTime"                      ? 't'
               : event.text == "timestamp"                           ? 'm'
                                                                     : ' ';
      return {};
    }
    if (event.depth == 1 && field_ != ' ') {
      const bool is_time = field_ == 't' || field_ == 'm';
      if (event.kind != (is_time ? Kind::integer : Kind::text)) {
        return is_time ? "expected an integer as time" : "expected a text as user and as item";
      }
      if (is_time) {
        time = event.integer;
        timed = true;
        milliseconds = field_ == 'm';
      } else {
        (field_ == 'u' ? user : field_ == 'i' ? item : parent) = event.text;
      }
      field_ = ' ';
    }
    return {};
  }

private:
  char field_ = ' ';
};

}  // namespace detail

/// Reads Amazon reviews, one JSON object a line, plain or gzip:
///
///   2014, 2018   reviewerID  asin         unixReviewTime (seconds)
///   2023         user_id     parent_asin  timestamp (milliseconds, read as seconds)
///
/// File order, stable by time, ids by first appearance, nothing dropped; see Preparation for the
/// rest.
///
/// Cost    one pass; memory as InteractionTable
/// Errors  DataError with file and line: not a JSON object, a field missing or of another kind;
///         what ByteSource reports
inline Result<Interactions> try_read_amazon_reviews(const std::string& path,
                                                    const SourceLimits& limits = {}) {
  auto lines = Lines::open(path, limits);
  if (!lines) {
    return lines.error();
  }
  InteractionTable table(true);
  while (lines->next()) {
    detail::ReviewFields review;
    if (Failure failure = read_json_events(lines->line(), review, lines->where())) {
      return *std::move(failure);
    }
    const std::string& item = review.parent.empty() ? review.item : review.parent;
    for (const auto& [key, name] : {std::pair<std::string_view, const char*>(review.user, "user"),
                                    std::pair<std::string_view, const char*>(item, "item")}) {
      if (std::string sentence = detail::bad_key(key); !sentence.empty()) {
        return DataError(key.empty() ? "missing" : sentence, lines->where(name));
      }
    }
    if (!review.timed) {
      return DataError("missing", lines->where("unixReviewTime or timestamp"));
    }
    const std::int64_t time = review.milliseconds ? review.time / 1000 : review.time;
    table.add(table.users.text(review.user), table.items.text(item), time);
  }
  if (lines->failure()) {
    return *lines->failure();
  }
  if (table.rows() == 0) {
    return DataError("there are no reviews", {path, -1, -1, {}});
  }
  return table.group();
}

inline Interactions read_amazon_reviews(const std::string& path, const SourceLimits& limits = {}) {
  return try_read_amazon_reviews(path, limits).value_or_raise();
}

/// Reads Amazon metadata, one item a line: Python literals (2014) or JSON (2018, 2023), told by the
/// quote of the first name. Items stand in the order of the file, with `key` their asin.
///
/// Errors  DataError with file and line: neither of the two, no asin, a field of another kind; what
///         ByteSource reports
inline Result<std::vector<ItemText>> try_read_amazon_metadata(const std::string& path,
                                                              const SourceLimits& limits = {}) {
  auto lines = Lines::open(path, limits);
  if (!lines) {
    return lines.error();
  }
  std::vector<ItemText> items;
  while (lines->next()) {
    const std::string_view line = lines->line();
    const std::size_t name = line.find_first_not_of(" {");
    const bool json = name != std::string_view::npos && line[name] == '"';
    auto object = json ? try_parse_json(line, lines->where())
                       : try_parse_python_literal(line, lines->where());
    if (!object) {
      return object.error();
    }
    if (object->as_object() == nullptr) {
      return DataError("expected an object, found " + std::string(object->kind_name()),
                       lines->where());
    }
    if (Failure failure = detail::assign_item(*object, items.emplace_back(), lines->where())) {
      return *std::move(failure);
    }
    if (items.back().key.empty()) {
      return DataError("missing", lines->where("asin"));
    }
  }
  if (lines->failure()) {
    return *lines->failure();
  }
  if (items.empty()) {
    return DataError("there are no items", {path, -1, -1, {}});
  }
  return items;
}

inline std::vector<ItemText> read_amazon_metadata(const std::string& path,
                                                  const SourceLimits& limits = {}) {
  return try_read_amazon_metadata(path, limits).value_or_raise();
}

/// Items in the order of `item_keys`, as a catalogue needs them; a key without metadata gives an
/// empty text with that key. Of two items of one key the first counts.
inline std::vector<ItemText> items_of_keys(std::vector<ItemText> items,
                                           const std::vector<std::string>& item_keys) {
  std::unordered_map<std::string_view, std::size_t> place;
  for (std::size_t i = 0; i < items.size(); ++i) { place.emplace(items[i].key, i); }
  std::vector<ItemText> ordered;
  for (const std::string& key : item_keys) {
    const auto found = place.find(key);
    ordered.push_back(found == place.end() ? ItemText{.key = key} : items[found->second]);
  }
  return ordered;
}

}  // namespace simgr::SIMGR_ABI::data
