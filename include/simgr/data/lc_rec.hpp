// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/proportion.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/decimal.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/items.hpp>
#include <simgr/data/json.hpp>
#include <simgr/data/key_index.hpp>
#include <simgr/data/utf8.hpp>
#include <simgr/tokenizer/item_id.hpp>

// The three files of LC-Rec, LETTER and MiniOneRec, plain or gzip: `*.inter.json`, `*.item.json`,
// `*.index.json`. Each is one JSON object, read whole.

namespace simgr::SIMGR_ABI::data {

namespace detail {

inline Result<JsonValue> read_json_object(const std::string& path, const SourceLimits& limits) {
  auto bytes = try_read_bytes(path, limits);
  if (!bytes) {
    return bytes.error();
  }
  auto root = try_parse_json(*bytes, {path, -1, -1, {}});
  if (root && (root->as_object() == nullptr || root->as_object()->empty())) {
    return DataError(
        "expected an object with members, found " +
            (root->as_object() == nullptr ? std::string(root->kind_name()) : "one without"),
        {path, -1, -1, {}});
  }
  return root;
}

inline Error json_error(const std::string& path, const JsonMember& member,
                        const std::string& sentence) {
  return DataError(sentence, {path, -1, member.value.offset(), data::in_quotes(member.key)});
}

/// Members named "0" … "n-1", each once, in any order: their places, or why not.
inline Result<std::vector<const JsonMember*>> by_item_id(const std::string& path,
                                                         const JsonValue::Object& object) {
  std::vector<const JsonMember*> members(object.size());
  const JsonMember* beyond = nullptr;
  for (const JsonMember& member : object) {
    const auto id = number_of<std::uint64_t>(member.key);
    if (!id || std::to_string(*id) != member.key) {
      return json_error(path, member,
                        "expected item ids 0 to " + std::to_string(members.size() - 1));
    }
    if (*id < members.size()) {
      members[*id] = &member;
    } else if (beyond == nullptr) {
      beyond = &member;
    }
  }
  if (beyond != nullptr) {  // keys are unique, so another place stays empty
    const auto missing = std::find(members.begin(), members.end(), nullptr) - members.begin();
    return json_error(path, *beyond,
                      "expected item ids 0 to " + std::to_string(members.size() - 1) +
                          ", and item " + std::to_string(missing) + " is missing");
  }
  return members;
}

/// The code of a token such as `<b_70>` at `digit` 1; negative if it is none.
inline std::int64_t code_of(std::string_view token, std::size_t digit) {
  const std::string opening = {'<', static_cast<char>('a' + digit), '_'};
  if (!token.starts_with(opening) || !token.ends_with('>')) {
    return -1;
  }
  return number_of<std::int64_t>(token.substr(3, token.size() - 4)).value_or(-1);
}

/// What f makes of the members of a file, those of items 0 … n-1 in order: f(members) -> Result.
template <class F>
auto of_items(const std::string& path, const SourceLimits& limits, F&& f)
    -> std::invoke_result_t<F, const std::vector<const JsonMember*>&> {
  auto root = read_json_object(path, limits);
  if (!root) {
    return root.error();
  }
  auto members = by_item_id(path, *root->as_object());
  if (!members) {
    return members.error();
  }
  return f(*members);
}

/// The ids that the tokens of all items name.
inline Result<SemanticIds> ids_of_index(const std::string& path,
                                        const std::vector<const JsonMember*>& members) {
  SemanticIds ids;
  std::size_t digits = 0;
  for (std::size_t item = 0; item < members.size(); ++item) {
    const JsonMember& member = *members[item];
    const JsonValue::Array* tokens = member.value.as_array();
    if (tokens == nullptr || tokens->empty() || tokens->size() > 26) {
      return json_error(path, member, "expected a list of 1 to 26 tokens");
    }
    digits = item == 0 ? tokens->size() : digits;
    if (tokens->size() != digits) {
      return json_error(path, member,
                        "expected " + std::to_string(digits) + " tokens as item 0 has, found " +
                            std::to_string(tokens->size()));
    }
    ids.codes_per_digit.resize(digits);
    for (std::size_t digit = 0; digit < digits; ++digit) {
      const std::string* token = (*tokens)[digit].as_text();
      const std::int64_t code = token == nullptr ? -1 : code_of(*token, digit);
      if (code < 0 || code >= (std::int64_t{1} << 20)) {
        return json_error(path, member,
                          "token " + std::to_string(digit + 1) + " is not of the form <" +
                              static_cast<char>('a' + digit) + "_number>");
      }
      ids.codes.values.push_back(static_cast<std::int32_t>(code));
      ids.codes_per_digit[digit] = std::max<Index>(ids.codes_per_digit[digit], code + 1);
    }
  }
  ids.codes.rows = static_cast<Index>(members.size());
  ids.codes.cols = static_cast<Index>(digits);
  if (const std::string sentence = out_of_proportion(ids); !sentence.empty()) {
    return DataError(sentence, {path, -1, -1, {}});
  }
  return ids;
}

}  // namespace detail

/// Reads `*.inter.json`: user to list of item ids, oldest first.
///
/// Errors  DataError with file and byte: not an object of lists, an id below 0 or not dense, an
///         empty history, the name of a user above 4096 bytes; what ByteSource reports
inline Result<Interactions> try_read_lc_rec_inter(const std::string& path,
                                                  const SourceLimits& limits = {}) {
  auto root = detail::read_json_object(path, limits);
  if (!root) {
    return root.error();
  }
  Interactions result;
  KeyIndex users;
  std::vector<ItemId> history;
  std::int64_t largest = 0;
  for (const JsonMember& member : *root->as_object()) {
    const JsonValue::Array* list = member.value.as_array();
    if (list == nullptr || list->empty()) {
      return detail::json_error(path, member, "expected a list of item ids with one at least");
    }
    history.clear();
    for (const JsonValue& element : *list) {
      const auto item = element.as_integer();
      if (!item || *item < 0 || *item >= INT32_MAX) {
        return detail::json_error(path, member, "expected item ids from 0, found another value");
      }
      history.push_back(static_cast<ItemId>(*item));
      largest = std::max(largest, *item);
    }
    result.histories.push_back(history);
    if (member.key.size() > 4096) {
      return detail::json_error(path, member, "the name of a user is longer than 4096 bytes");
    }
    users.text(member.key);
  }
  if (largest > most_rows_named_in(result.histories.tokens())) {
    return DataError("the largest item id is " + std::to_string(largest) + " among " +
                         std::to_string(result.histories.tokens()) +
                         " interactions; ids must be dense, 0 to items - 1",
                     {path, -1, -1, {}});
  }
  result.items = largest + 1;
  result.user_keys = users.keys();
  return result;
}

inline Interactions read_lc_rec_inter(const std::string& path, const SourceLimits& limits = {}) {
  return try_read_lc_rec_inter(path, limits).value_or_raise();
}

/// Reads `*.item.json`: item id to a record with title, description, brand, categories.
///
/// @return  [items], item i at place i
///
/// Errors  DataError with file and byte: items other than 0 … n-1, no record, a field of another
///         kind; what ByteSource reports
inline Result<std::vector<ItemText>> try_read_lc_rec_items(const std::string& path,
                                                           const SourceLimits& limits = {}) {
  const auto read =
      [&](const std::vector<const JsonMember*>& members) -> Result<std::vector<ItemText>> {
    std::vector<ItemText> items;
    for (const JsonMember* member : members) {
      if (member->value.as_object() == nullptr) {
        return detail::json_error(path, *member, "expected a record");
      }
      const Where where{path, -1, member->value.offset(), {}};
      if (Failure failure = detail::assign_item(member->value, items.emplace_back(), where)) {
        return *std::move(failure);
      }
    }
    return items;
  };
  return detail::of_items(path, limits, read);
}

inline std::vector<ItemText> read_lc_rec_items(const std::string& path,
                                               const SourceLimits& limits = {}) {
  return try_read_lc_rec_items(path, limits).value_or_raise();
}

/// Reads `*.index.json`: item id to its tokens, `<a_183>` for code 183 of the first digit, `<b_…>`
/// of the second and so on. A digit has as many codes as its largest and one.
///
/// Errors  DataError with file and byte: items other than 0 … n-1, tokens of another form, no or
///         more than 26 of them, a code of 2^20 or more, items with different numbers of digits,
///         codes out of proportion to the items
inline Result<SemanticIds> try_read_lc_rec_index(const std::string& path,
                                                 const SourceLimits& limits = {}) {
  return detail::of_items(path, limits, [&](const std::vector<const JsonMember*>& members) {
    return detail::ids_of_index(path, members);
  });
}

inline SemanticIds read_lc_rec_index(const std::string& path, const SourceLimits& limits = {}) {
  return try_read_lc_rec_index(path, limits).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
