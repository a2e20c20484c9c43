// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/item_text.hpp>
#include <simgr/data/json.hpp>

namespace simgr::SIMGR_ABI::data {

namespace detail {

/// The wrong kind of a field, as a sentence; empty where it is right.
inline std::string assign_text(const JsonValue& value, std::string& into) {
  if (const std::string* text = value.as_text()) {
    into = *text;
    return {};
  }
  return value.is_null() ? "" : "expected a text, found " + std::string(value.kind_name());
}

/// The same for a list of texts, and below for categories and integers; null is an empty list.
inline std::string assign_texts(const JsonValue& value, std::vector<std::string>& into) {
  if (value.is_null()) {
    return {};
  }
  if (value.as_array() == nullptr) {
    return "expected a list of texts, found " + std::string(value.kind_name());
  }
  for (const JsonValue& element : *value.as_array()) {
    if (std::string sentence = assign_text(element, into.emplace_back()); !sentence.empty()) {
      return sentence;
    }
  }
  return {};
}

/// Takes a list of paths, one path, or one text that is a path by itself.
inline std::string assign_categories(const JsonValue& value,
                                     std::vector<std::vector<std::string>>& into) {
  if (const std::string* text = value.as_text()) {
    if (!text->empty()) {
      into.push_back({*text});
    }
    return {};
  }
  const JsonValue::Array* list = value.as_array();
  if (list != nullptr && !list->empty() && list->front().as_array() != nullptr) {
    for (const JsonValue& path : *list) {
      if (std::string sentence = assign_texts(path, into.emplace_back()); !sentence.empty()) {
        return sentence;
      }
    }
    return {};
  }
  if (list != nullptr && list->empty()) {
    return {};
  }
  std::vector<std::string> path;
  std::string sentence = assign_texts(value, path);
  if (sentence.empty() && !path.empty()) {
    into.push_back(std::move(path));
  }
  return sentence;
}

inline std::string assign_integers(const JsonValue& value, std::vector<std::int64_t>& into) {
  if (value.is_null()) {
    return {};
  }
  if (value.as_array() == nullptr) {
    return "expected a list of integers, found " + std::string(value.kind_name());
  }
  for (const JsonValue& element : *value.as_array()) {
    if (!element.as_integer()) {
      return "expected an integer, found " + std::string(element.kind_name());
    }
    into.push_back(*element.as_integer());
  }
  return {};
}

/// Fills `item` from one object. Unknown members are passed over.
/// Errors  DataError with the field: a member of another kind
inline Failure assign_item(const JsonValue& object, ItemText& item, const Where& place) {
  for (const JsonMember& member : *object.as_object()) {
    const std::string_view key = member.key;
    const JsonValue& value = member.value;
    std::string sentence;
    if (key == "title") {
      sentence = assign_text(value, item.title);
    } else if (key == "brand" || key == "store") {
      sentence = assign_text(value, item.brand);
    } else if (key == "text") {
      sentence = assign_text(value, item.text);
    } else if (key == "phrase") {
      sentence = assign_text(value, item.phrase);
    } else if (key == "asin" || key == "parent_asin") {
      sentence = assign_text(value, item.key);
    } else if (key == "categories" || key == "category") {
      sentence = assign_categories(value, item.categories);
    } else if (key == "terms") {
      sentence = assign_texts(value, item.terms);
    } else if (key == "attributes") {
      sentence = assign_integers(value, item.attributes);
    } else if (key == "description") {
      if (value.as_array() != nullptr) {  // the 2018 and 2023 metadata: a list of paragraphs
        std::vector<std::string> paragraphs;
        sentence = assign_texts(value, paragraphs);
        for (const std::string& paragraph : paragraphs) {
          append(item.description, paragraph, " ");
        }
      } else {
        sentence = assign_text(value, item.description);
      }
    }
    if (!sentence.empty()) {
      Where where = place;
      where.field = member.key;
      return DataError(sentence, std::move(where));
    }
  }
  return std::nullopt;
}

}  // namespace detail

/// Reads `items.jsonl[.gz]`: one JSON object a line, whose `id` is the number of the line from 0.
/// Fields: `asin`, `title`, `brand`, `description`, `text`, `phrase`, `categories`, `terms`,
/// `attributes`; others are passed over.
///
/// @return  [items], item i at place i
///
/// Errors  DataError with file, line and field: not a JSON object, an id that is not the line's, a
///         field of another kind, no line at all; what ByteSource reports
inline Result<std::vector<ItemText>> try_read_items(const std::string& path,
                                                    const SourceLimits& limits = {}) {
  auto lines = Lines::open(path, limits);
  if (!lines) {
    return lines.error();
  }
  std::vector<ItemText> items;
  while (lines->next()) {
    auto object = try_parse_json(lines->line(), lines->where());
    if (!object) {
      return object.error();
    }
    if (object->as_object() == nullptr) {
      return DataError("expected an object, found " + std::string(object->kind_name()),
                       lines->where());
    }
    const JsonValue* id = object->find("id");
    const auto number = id == nullptr ? std::nullopt : id->as_integer();
    if (number != static_cast<std::int64_t>(items.size())) {
      return DataError("expected id " + std::to_string(items.size()) + ", found " +
                           (id == nullptr ? "none"
                            : number      ? std::to_string(*number)
                                          : std::string(id->kind_name())),
                       lines->where("id"));
    }
    if (Failure failure = detail::assign_item(*object, items.emplace_back(), lines->where())) {
      return *std::move(failure);
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

inline std::vector<ItemText> read_items(const std::string& path, const SourceLimits& limits = {}) {
  return try_read_items(path, limits).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
