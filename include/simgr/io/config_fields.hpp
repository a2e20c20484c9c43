// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>  // std::snprintf
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <simgr/core/error.hpp>
#include <simgr/data/json.hpp>

namespace simgr::SIMGR_ABI::io {

/// Reads the fields of one object, and keeps the first thing that is wrong; from then on what it
/// returns is of no use and does no harm. null is a field that is not there.
class ConfigFields {
public:
  ConfigFields(const data::JsonValue& object, std::string file, Failure& failure,
               std::string prefix = {})
      : object_(object), file_(std::move(file)), failure_(failure), prefix_(std::move(prefix)) {}

  const data::JsonValue* find(std::string_view key) const {
    const data::JsonValue* value = object_.find(key);
    return value != nullptr && !value->is_null() ? value : nullptr;
  }
  bool has(std::string_view key) const { return find(key) != nullptr; }

  Index integer(std::string_view key, Index least, Index most,
                std::optional<Index> otherwise = {}) {
    const data::JsonValue* value = find(key);
    if (value == nullptr && otherwise) {
      return *otherwise;
    }
    const auto found = value != nullptr ? value->as_integer() : std::nullopt;
    if (!found || *found < least || *found > most) {
      refuse(key, "an integer from " + std::to_string(least) + " to " + std::to_string(most));
      return least;
    }
    return static_cast<Index>(*found);
  }
  double number(std::string_view key, double least, double most,
                std::optional<double> otherwise = {}) {
    const data::JsonValue* value = find(key);
    if (value == nullptr && otherwise) {
      return *otherwise;
    }
    const auto found = value != nullptr ? value->as_number() : std::nullopt;
    if (!found || !(*found >= least) || !(*found <= most)) {
      refuse(key, "a number from " + short_text(least) + " to " + short_text(most));
      return least;
    }
    return *found;
  }
  bool flag(std::string_view key, bool otherwise) {
    const data::JsonValue* value = find(key);
    if (value != nullptr && !value->as_boolean()) {
      refuse(key, "true or false");
    }
    return value != nullptr ? value->as_boolean().value_or(otherwise) : otherwise;
  }
  std::string word(std::string_view key, std::string_view otherwise) {
    const data::JsonValue* value = find(key);
    if (value != nullptr && value->as_text() == nullptr) {
      refuse(key, "text");
    }
    return value != nullptr && value->as_text() != nullptr ? *value->as_text()
                                                           : std::string(otherwise);
  }
  /// Another model than those here: a flag that must not be set.
  void require_flag(std::string_view key, bool wanted, std::string_view why) {
    if (flag(key, wanted) != wanted) {
      refuse(key, std::string(wanted ? "true: " : "false: ") + std::string(why));
    }
  }

  void refuse(std::string_view key, const std::string& expected) {
    const data::JsonValue* value = object_.find(key);
    wrong(key, "expected " + expected + ", found " + (value != nullptr ? shown(*value) : "none"));
  }
  void wrong(std::string_view key, const std::string& sentence) {
    if (!failure_) {
      failure_ = DataError(sentence, {.file = file_, .field = prefix_ + std::string(key)});
    }
  }

private:
  static std::string short_text(double number) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", number);
    return text;
  }
  static std::string shown(const data::JsonValue& value) {
    if (const std::string* text = value.as_text()) {
      return data::in_quotes(*text);
    }
    if (const auto integer = value.as_integer()) {
      return std::to_string(*integer);
    }
    if (const auto number = value.as_number()) {
      return short_text(*number);
    }
    if (const auto flag = value.as_boolean()) {
      return *flag ? "true" : "false";
    }
    return std::string(value.kind_name());
  }

  const data::JsonValue& object_;
  std::string file_;
  Failure& failure_;
  std::string prefix_;
};

/// The object that a published config file is.
///
/// Errors  DataError: not JSON, no object, or larger than such files are
inline Result<data::JsonValue> try_parse_config(std::string_view text, const std::string& file,
                                                const data::JsonLimits& limits = {
                                                    .depth = 16, .values = 1 << 16}) {
  auto root = data::try_parse_json(text, {.file = file}, limits);
  if (root && root->as_object() == nullptr) {
    return DataError("expected an object, found " + std::string(root->kind_name()), {.file = file});
  }
  return root;
}

}  // namespace simgr::SIMGR_ABI::io
