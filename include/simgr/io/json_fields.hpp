// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/data/json.hpp>

namespace simgr::SIMGR_ABI::io {

/// Reads a JSON document field by field, and keeps the first thing that was wrong: a reader asks for
/// all it wants, gets defaults once something failed, and looks at `failure()` at the end.
class JsonFields {
public:
  /// A value and how messages call it ("model.vocab"); no value where it is missing or null.
  struct Field {
    const data::JsonValue* value = nullptr;
    std::string path{};

    explicit operator bool() const noexcept { return value != nullptr; }
  };

  JsonFields(const data::JsonValue& root, std::string file) : root_(root), file_(std::move(file)) {}

  const Failure& failure() const noexcept { return failure_; }
  bool ok() const noexcept { return !failure_.has_value(); }

  /// Keeps `sentence`, if it is the first.
  void fail(const Field& field, const std::string& sentence) {
    if (ok()) {
      Where where{.file = file_, .field = field.path};
      if (field.value != nullptr) {
        where.offset = field.value->offset();
      }
      failure_ = DataError(sentence, std::move(where));
    }
  }

  Field root() const { return {&root_, {}}; }
  Field member(const Field& parent, std::string_view key) const {
    Field field{nullptr,
                parent.path.empty() ? std::string(key) : parent.path + '.' + std::string(key)};
    if (parent) {
      field.value = parent.value->find(key);
      if (field.value != nullptr && field.value->is_null()) {
        field.value = nullptr;
      }
    }
    return field;
  }
  Field element(const Field& parent, std::size_t i) const {
    return {&(*parent.value->as_array())[i], parent.path + '[' + std::to_string(i) + ']'};
  }

  bool flag(const Field& parent, std::string_view key, bool otherwise) {
    const Field field = member(parent, key);
    if (!field) {
      return otherwise;
    }
    const auto value = field.value->as_boolean();
    expect(value.has_value(), field, "a boolean");
    return value.value_or(otherwise);
  }
  std::int64_t integer(const Field& parent, std::string_view key, std::int64_t otherwise,
                       std::int64_t least, std::int64_t most) {
    const Field field = member(parent, key);
    return field ? integer(field, least, most) : otherwise;
  }
  std::int64_t integer(const Field& field, std::int64_t least, std::int64_t most) {
    const auto value = field ? field.value->as_integer() : std::nullopt;
    expect(value.has_value(), field, "an integer");
    if (value && (*value < least || *value > most)) {
      fail(field, "expected " + std::to_string(least) + " to " + std::to_string(most) + ", found " +
                      std::to_string(*value));
    }
    return ok() ? *value : least;
  }
  std::string text(const Field& parent, std::string_view key, std::string otherwise) {
    const Field field = member(parent, key);
    return field ? text(field) : otherwise;
  }
  std::string text(const Field& field) {
    const std::string* value = field ? field.value->as_text() : nullptr;
    expect(value != nullptr, field, "text");
    return value != nullptr ? *value : std::string();
  }
  /// The elements of a list; none where the field is missing or no list.
  std::vector<Field> list(const Field& field) {
    std::vector<Field> elements;
    if (field) {
      const auto* array = field.value->as_array();
      expect(array != nullptr, field, "a list");
      for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
        elements.push_back(element(field, i));
      }
    }
    return elements;
  }

  /// Fails unless `good`.
  void expect(bool good, const Field& field, std::string_view what) {
    if (!good) {
      fail(field, "expected " + std::string(what) + ", found " +
                      (field ? std::string(field.value->kind_name()) : "nothing"));
    }
  }

private:
  const data::JsonValue& root_;
  std::string file_;
  Failure failure_;
};

}  // namespace simgr::SIMGR_ABI::io
