// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include <simgr/core/error.hpp>
#include <simgr/core/types.hpp>
#include <simgr/data/utf8.hpp>

namespace simgr::SIMGR_ABI::data {

struct JsonMember;

/// One value of a JSON document, owning all below it. Members keep the order of the file.
class JsonValue {
public:
  using Array = std::vector<JsonValue>;
  using Object = std::vector<JsonMember>;

  JsonValue() = default;
  template <class T>
  JsonValue(T value, std::int64_t offset) : state_(std::move(value)), offset_(offset) {}

  /// Bytes from the start of the text to just behind the token that opened this value.
  std::int64_t offset() const noexcept { return offset_; }
  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(state_); }

  /// The value as the asked type, or null / nothing where it has another one.
  std::optional<bool> as_boolean() const noexcept {
    const bool* value = std::get_if<bool>(&state_);
    return value != nullptr ? std::optional(*value) : std::nullopt;
  }
  std::optional<std::int64_t> as_integer() const noexcept {
    const std::int64_t* value = std::get_if<std::int64_t>(&state_);
    return value != nullptr ? std::optional(*value) : std::nullopt;
  }
  /// Integers are numbers too.
  std::optional<double> as_number() const noexcept {
    if (const std::int64_t* integer = std::get_if<std::int64_t>(&state_)) {
      return static_cast<double>(*integer);
    }
    const double* value = std::get_if<double>(&state_);
    return value != nullptr ? std::optional(*value) : std::nullopt;
  }
  const std::string* as_text() const noexcept { return std::get_if<std::string>(&state_); }
  const Array* as_array() const noexcept { return std::get_if<Array>(&state_); }
  const Object* as_object() const noexcept { return std::get_if<Object>(&state_); }
  Array* as_array() noexcept { return std::get_if<Array>(&state_); }
  Object* as_object() noexcept { return std::get_if<Object>(&state_); }

  /// The member of that name, or null: not an object, or no such member. Linear in the members.
  const JsonValue* find(std::string_view key) const noexcept;

  /// "null", "boolean", "integer", "number", "text", "array" or "object": for messages.
  std::string_view kind_name() const noexcept {
    constexpr std::string_view names[] = {"null", "boolean", "integer", "number",
                                          "text", "array",   "object"};
    return names[state_.index()];
  }

private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> state_;
  std::int64_t offset_ = 0;
};

/// One name and its value in an object.
struct JsonMember {
  std::string key;
  JsonValue value;
};

inline const JsonValue* JsonValue::find(std::string_view key) const noexcept {
  if (const Object* object = as_object()) {
    for (const JsonMember& member : *object) {
      if (member.key == key) {
        return &member.value;
      }
    }
  }
  return nullptr;
}

/// What a document may cost. 64 levels are far above what real files of this field have; a
/// JsonValue takes about 50 bytes, and as little as two bytes of text make one.
struct JsonLimits {
  Index depth = 64;
  Index values = Index{1} << 26;
  bool wide_integers = false;  // those beyond 64 bits are numbers, and no error
};

/// One event of a document read from front to back.
struct JsonEvent {
  enum class Kind {
    null,
    boolean,
    integer,
    number,
    text,
    key,
    begin_object,
    end_object,
    begin_array,
    end_array
  };
  Kind kind = Kind::null;
  Index depth = 0;           // open arrays and objects around this value, key, or bracket pair
  std::int64_t offset = 0;   // bytes read so far
  bool boolean = false;      // Kind::boolean
  std::int64_t integer = 0;  // Kind::integer
  double number = 0;         // Kind::integer and Kind::number
  std::string_view text{};   // Kind::text and Kind::key, valid during the call
};

namespace detail {

/// A character iterator whose position is known to its maker, for offsets in messages.
struct JsonCursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  const char** seen;  // null in the end iterator

  const char& operator*() const noexcept { return *at; }
  JsonCursor& operator++() noexcept {
    *seen = ++at;
    return *this;
  }
  JsonCursor operator++(int) noexcept {
    JsonCursor old = *this;
    ++*this;
    return old;
  }
  bool operator==(const JsonCursor& other) const noexcept { return at == other.at; }
};

/// A handler of events behind one indirect call, so that nlohmann's parser is compiled once a file
/// and not once a handler.
struct JsonHandler {
  void* handler;
  std::string (*call)(void* handler, const JsonEvent& event);
};

/// Stands between nlohmann's SAX parser and an event handler: depth, sizes, duplicate keys.
class JsonEvents {
public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;
  using Kind = JsonEvent::Kind;

  JsonEvents(JsonHandler handler, const char* begin, const char* const* seen,
             const JsonLimits& limits)
      : handler_(handler), begin_(begin), seen_(seen), limits_(limits) {}

  bool null() { return value({.kind = Kind::null}); }
  bool boolean(bool boolean) { return value({.kind = Kind::boolean, .boolean = boolean}); }
  bool number_integer(number_integer_t integer) {
    return value(
        {.kind = Kind::integer, .integer = integer, .number = static_cast<double>(integer)});
  }
  bool number_unsigned(number_unsigned_t integer) {
    return integer > static_cast<number_unsigned_t>(INT64_MAX)
               ? number_float(static_cast<double>(integer), {})
               : number_integer(static_cast<number_integer_t>(integer));
  }
  bool number_float(number_float_t number, const string_t& text) {
    return limits_.wide_integers || text.find_first_of(".eE") != string_t::npos
               ? value({.kind = Kind::number, .number = number})
               : fail("an integer does not fit into 64 bits");
  }
  bool string(const string_t& text) { return value({.kind = Kind::text, .text = text}); }
  bool binary(const binary_t&) { return fail("binary values are not JSON"); }

  bool start_object(std::size_t) { return open(Kind::begin_object); }
  bool start_array(std::size_t) { return open(Kind::begin_array); }
  bool end_array() { return close(Kind::end_array); }
  bool end_object() {
    const Keys& keys = keys_[static_cast<std::size_t>(depth_ - 1)];
    return (keys.used <= few_keys || unique(keys)) && close(Kind::end_object);
  }
  bool key(const string_t& text) {
    Keys& keys = keys_[static_cast<std::size_t>(depth_ - 1)];
    if (keys.used <= few_keys) {
      for (std::size_t i = 0; i < keys.used; ++i) {
        if (keys.names[i] == text) {
          return fail("the key " + data::in_quotes(text) + " stands twice in one object");
        }
      }
    }
    if (keys.used == keys.names.size()) {
      keys.names.emplace_back();
    }
    keys.names[keys.used++] = text;
    return emit({.kind = Kind::key, .text = text});
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: reason"
    std::string_view reason = error.what();
    if (const auto place = reason.find("column "); place != std::string_view::npos) {
      reason.remove_prefix(std::min(reason.size(), reason.find(": ", place) + 2));
    } else if (const auto bracket = reason.find("] "); bracket != std::string_view::npos) {
      reason.remove_prefix(bracket + 2);
    }
    return fail("not valid JSON: " + printable(reason, 200));
  }

  const std::string& sentence() const noexcept { return sentence_; }
  std::int64_t offset() const noexcept { return *seen_ - begin_; }

private:
  static constexpr std::size_t few_keys = 16;
  struct Keys {
    std::vector<std::string> names;  // reused: only the first `used` count
    std::size_t used = 0;
  };

  bool fail(std::string sentence) {
    if (sentence_.empty()) {
      sentence_ = std::move(sentence);
    }
    return false;
  }
  bool emit(JsonEvent event) {
    event.depth = depth_;
    event.offset = offset();
    return fail_if(handler_.call(handler_.handler, event));
  }
  bool fail_if(std::string sentence) { return sentence.empty() || fail(std::move(sentence)); }
  bool value(const JsonEvent& event) {
    return ++values_ > limits_.values ? fail("more values than " + std::to_string(limits_.values))
                                      : emit(event);
  }
  bool open(Kind kind) {
    if (depth_ >= limits_.depth) {
      return fail("nested deeper than " + std::to_string(limits_.depth) + " levels");
    }
    if (!value({.kind = kind})) {
      return false;
    }
    if (keys_.size() == static_cast<std::size_t>(depth_)) {
      keys_.emplace_back();
    }
    keys_[static_cast<std::size_t>(depth_++)].used = 0;
    return true;
  }
  bool close(Kind kind) {
    --depth_;
    return emit({.kind = kind});
  }
  /// Large objects are checked when they close, by sorting: no hash that a file could attack.
  bool unique(const Keys& keys) {
    std::vector<std::size_t> order(keys.used);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return keys.names[a] < keys.names[b]; });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (keys.names[order[i]] == keys.names[order[i - 1]]) {
        return fail("the key " + data::in_quotes(keys.names[order[i]]) +
                    " stands twice in one object");
      }
    }
    return true;
  }

  JsonHandler handler_;
  const char* begin_;
  const char* const* seen_;
  JsonLimits limits_;
  Index depth_ = 0, values_ = 0;
  std::vector<Keys> keys_;
  std::string sentence_;
};

/// Builds the value from the events.
class JsonBuilder {
public:
  using Kind = JsonEvent::Kind;

  std::string operator()(const JsonEvent& event) {
    switch (event.kind) {
    case Kind::null:
      place(JsonValue(std::monostate{}, event.offset));
      break;
    case Kind::boolean:
      place(JsonValue(event.boolean, event.offset));
      break;
    case Kind::integer:
      place(JsonValue(event.integer, event.offset));
      break;
    case Kind::number:
      place(JsonValue(event.number, event.offset));
      break;
    case Kind::text:
      place(JsonValue(std::string(event.text), event.offset));
      break;
    case Kind::key:
      open_.back()->as_object()->push_back({std::string(event.text), {}});
      break;
    case Kind::begin_object:
      open_.push_back(place(JsonValue(JsonValue::Object{}, event.offset)));
      break;
    case Kind::begin_array:
      open_.push_back(place(JsonValue(JsonValue::Array{}, event.offset)));
      break;
    case Kind::end_object:
    case Kind::end_array:
      open_.pop_back();
      break;
    }
    return {};
  }

  JsonValue root;

private:
  /// Pointers to open values stay good: only the innermost container grows.
  JsonValue* place(JsonValue value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    if (JsonValue::Array* array = open_.back()->as_array()) {
      array->push_back(std::move(value));
      return &array->back();
    }
    JsonValue& slot = open_.back()->as_object()->back().value;
    slot = std::move(value);
    return &slot;
  }

  std::vector<JsonValue*> open_;
};

/// A template so that a program may compile it once: nlohmann's parser brings its binary formats.
template <class Events>
bool parse_json(JsonCursor begin, JsonCursor end, Events& events) {
  return nlohmann::json::sax_parse(begin, end, &events);
}
#if defined(SIMGR_DEFINE_KERNELS)  // cpu/compiled.hpp
template bool parse_json(JsonCursor, JsonCursor, JsonEvents&);
#elif defined(SIMGR_EXTERN_KERNELS)
extern template bool parse_json(JsonCursor, JsonCursor, JsonEvents&);
#endif

inline Failure read_json_events(std::string_view text, JsonHandler handler, Where where,
                                const JsonLimits& limits) {
  const std::int64_t start = std::max<std::int64_t>(where.offset, 0);
  if (const void* nul = text.empty() ? nullptr : std::memchr(text.data(), 0, text.size())) {
    where.offset = start + (static_cast<const char*>(nul) - text.data());
    return DataError("not valid JSON: a NUL byte", std::move(where));  // nlohmann would stop there
  }
  if (const Index bad = first_bad_utf8(text); bad >= 0) {  // nlohmann would quote it as it stands
    where.offset = start + bad;
    return DataError("not valid JSON: a byte that is not UTF-8", std::move(where));
  }
  const char* seen = text.data();
  JsonEvents events(handler, text.data(), &seen, limits);
  const JsonCursor begin{text.data(), &seen};
  const JsonCursor end{text.data() + text.size(), nullptr};
  if (parse_json(begin, end, events)) {
    return std::nullopt;
  }
  where.offset = start + events.offset();
  return DataError(events.sentence(), std::move(where));
}

}  // namespace detail

/// Reads one JSON document as events.
///
/// @param handler  `std::string operator()(const JsonEvent&)`; empty goes on, else the sentence is
///                 the error
/// @param where    prefix of messages; its offset, if known, is where `text` begins in the file
///
/// Cost    O(bytes) time, O(depth + keys of open objects) memory; an object of more than 16 keys is
///         sorted once
/// Errors  DataError with the byte: not JSON, NaN or Infinity, an integer beyond 64 bits, a number
///         beyond double, bad UTF-8, lone surrogates, a NUL byte, a duplicate key, deeper than the
///         limit, more values than the limit, anything behind the value
template <class Handler>
Failure read_json_events(std::string_view text, Handler& handler, Where where = {},
                         const JsonLimits& limits = {}) {
  const auto call = [](void* object, const JsonEvent& event) -> std::string {
    return (*static_cast<Handler*>(object))(event);
  };
  return detail::read_json_events(text, detail::JsonHandler{&handler, call}, std::move(where),
                                  limits);
}

/// Reads one JSON document whole. Errors as read_json_events.
inline Result<JsonValue> try_parse_json(std::string_view text, Where where = {},
                                        const JsonLimits& limits = {}) {
  detail::JsonBuilder builder;
  if (Failure failure = read_json_events(text, builder, std::move(where), limits)) {
    return *std::move(failure);
  }
  return std::move(builder.root);
}

inline JsonValue parse_json(std::string_view text, Where where = {},
                            const JsonLimits& limits = {}) {
  return try_parse_json(text, std::move(where), limits).value_or_raise();
}

/// `text` as a JSON string with its quotes. The text must be UTF-8, which is not checked here.
inline std::string json_quote(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20) {
      quoted += "\\u00";
      quoted += digits[byte >> 4];
      quoted += digits[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace simgr::SIMGR_ABI::data
