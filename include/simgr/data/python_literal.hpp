// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cctype>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <simgr/core/error.hpp>
#include <simgr/data/decimal.hpp>
#include <simgr/data/json.hpp>
#include <simgr/data/utf8.hpp>

namespace simgr::SIMGR_ABI::data {

namespace detail {

/// Appends a code point as UTF-8; what is none becomes U+FFFD.
inline void append_code_point(std::string& text, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
    code = 0xfffd;
  }
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 63));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 63));
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  }
}

/// Recursive descent over one literal; false with a sentence and an offset where it is none.
class PythonParser {
public:
  PythonParser(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  bool document(JsonValue& value) {
    if (!parse(value, 0)) {
      return false;
    }
    skip();
    return at_ == text_.size() || fail("there is text behind the value");
  }
  const std::string& sentence() const noexcept { return sentence_; }
  std::int64_t offset() const noexcept { return static_cast<std::int64_t>(at_); }

private:
  bool fail(const std::string& sentence) {
    sentence_ = sentence_.empty() ? sentence : sentence_;
    return false;
  }
  char peek(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void skip() noexcept {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n') { ++at_; }
  }
  bool take(std::string_view token) noexcept {
    const bool found = text_.substr(at_).starts_with(token);
    at_ += found ? token.size() : 0;
    return found;
  }
  std::int64_t place() const noexcept { return static_cast<std::int64_t>(at_); }

  bool parse(JsonValue& value, Index depth) {
    skip();
    if (depth >= limits_.depth) {
      return fail("nested too deep");
    }
    if (++values_ > limits_.values) {
      return fail("more values than " + std::to_string(limits_.values));
    }
    switch (peek()) {
    case '{':
      ++at_;
      return members(value, depth);
    case '[':
      ++at_;
      return elements(value, depth, ']');
    case '(':
      ++at_;
      return elements(value, depth, ')');
    default:
      break;
    }
    const std::size_t prefix = string_prefix();
    if (prefix != std::string_view::npos) {
      const bool raw = text_.substr(at_, prefix).find_first_of("rR") != std::string_view::npos;
      at_ += prefix;
      std::string text;
      const std::int64_t begin = place();
      if (!string(text, raw)) {
        return false;
      }
      value = JsonValue(std::move(text), begin);
      return true;
    }
    return word(value);
  }

  /// Letters in front of a quote, as in u'...'; npos where no string begins.
  std::size_t string_prefix() const noexcept {
    for (std::size_t length = 0; length <= 2; ++length) {
      const char c = peek(length);
      if (c == '\'' || c == '"') {
        return length;
      }
      if (std::string_view("uUbBrR").find(c) == std::string_view::npos || c == '\0') {
        break;
      }
    }
    return std::string_view::npos;
  }

  bool members(JsonValue& value, Index depth) {
    JsonValue::Object object;
    const std::int64_t begin = place();
    for (;;) {
      skip();
      if (take("}")) {
        value = JsonValue(std::move(object), begin);
        return true;
      }
      JsonValue key, member;
      if (!parse(key, depth + 1)) {
        return false;
      }
      skip();
      if (key.as_text() == nullptr) {
        return fail("expected a text as the name of a member");
      }
      if (!take(":")) {
        return fail("expected : behind the name of a member");
      }
      if (!parse(member, depth + 1)) {
        return false;
      }
      object.push_back({*key.as_text(), std::move(member)});
      skip();
      if (!take(",") && peek() != '}') {
        return fail("expected , or }");
      }
    }
  }

  bool elements(JsonValue& value, Index depth, char close) {
    JsonValue::Array array;
    const std::int64_t begin = place();
    for (;;) {
      skip();
      if (peek() == close) {
        ++at_;
        value = JsonValue(std::move(array), begin);
        return true;
      }
      if (!parse(array.emplace_back(), depth + 1)) {
        return false;
      }
      skip();
      if (!take(",") && peek() != close) {
        return fail("expected , or the end of the list");
      }
    }
  }

  bool string(std::string& into, bool raw) {
    const char quote = text_[at_++];
    for (;;) {
      if (at_ >= text_.size()) {
        return fail("a text is never closed");
      }
      const char c = text_[at_++];
      if (c == quote) {
        break;
      }
      if (c != '\\' || raw) {
        into += c;
      } else if (!escape(into)) {
        return false;
      }
    }
    return first_bad_utf8(into) < 0 || fail("a text is not UTF-8");
  }

  bool escape(std::string& into) {
    if (at_ >= text_.size()) {
      return fail("a text is never closed");
    }
    const char c = text_[at_++];
    constexpr std::string_view names = "\\'\"nrtabfv0", values = "\\'\"\n\r\t\a\b\f\v";
    const std::size_t simple = names.substr(0, 10).find(c);
    if (simple != std::string_view::npos) {
      into += values[simple];
    } else if (c == '\n') {
      // a line that goes on
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t length = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      std::uint32_t code = 0;
      if (!hexadecimal(length, code)) {
        into += '\\';  // Python would refuse; the metadata of 2014 must not
        into += c;
      } else {
        std::uint32_t low = 0;
        const std::size_t before = at_;
        if (code >= 0xd800 && code < 0xdc00 && take("\\u") && hexadecimal(4, low) &&
            low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        } else if (code >= 0xd800 && code < 0xdc00) {
          at_ = before;
        }
        append_code_point(into, code);
      }
    } else if (c >= '0' && c <= '7') {
      std::uint32_t code = static_cast<std::uint32_t>(c - '0');
      for (int i = 0; i < 2 && peek() >= '0' && peek() <= '7'; ++i) {
        code = code * 8 + static_cast<std::uint32_t>(text_[at_++] - '0');
      }
      append_code_point(into, code);
    } else {
      into += '\\';
      into += c;
    }
    return true;
  }

  bool hexadecimal(std::size_t length, std::uint32_t& code) noexcept {
    const std::string_view digits = text_.substr(at_, length);
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != length || end.ptr != digits.data() + length) {
      return false;
    }
    at_ += length;
    return true;
  }

  /// None, True, False, a number. Numbers that no double holds, nan and inf are null.
  bool word(JsonValue& value) {
    const std::size_t begin = at_;
    const auto in_word = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '+' || c == '-' || c == '.' || c == '_';
    };
    while (in_word(peek())) { ++at_; }
    std::string_view text = text_.substr(begin, at_ - begin);
    const std::int64_t here = static_cast<std::int64_t>(begin);
    if (text == "None" || text == "nan" || text == "inf" || text == "-inf") {
      value = JsonValue(std::monostate{}, here);
      return true;
    }
    if (text == "True" || text == "False") {
      value = JsonValue(text == "True", here);
      return true;
    }
    if (text.ends_with('L')) {
      text.remove_suffix(1);  // a long of Python 2
    }
    if (const auto integer = number_of<std::int64_t>(text)) {
      value = JsonValue(*integer, here);
      return true;
    }
    if (const auto number = number_of<double>(text)) {
      value = std::isfinite(*number) ? JsonValue(*number, here) : JsonValue(std::monostate{}, here);
      return true;
    }
    at_ = begin;
    return fail("expected a value");
  }

  std::string_view text_;
  JsonLimits limits_;
  Index values_ = 0;  // names of members count
  std::size_t at_ = 0;
  std::string sentence_;
};

}  // namespace detail

/// Reads one Python literal: dictionaries with text keys, lists, tuples (as lists), texts in single
/// or double quotes with or without u, b, r in front, numbers, True, False, None. This is what the
/// Amazon metadata of 2014 are made of. Of a name that stands twice both members are kept.
///
/// Errors  DataError with the byte: something else, nesting above the limit, more values than the
///         limit, a text that is not UTF-8
inline Result<JsonValue> try_parse_python_literal(std::string_view text, Where where = {},
                                                  const JsonLimits& limits = {}) {
  detail::PythonParser parser(text, limits);
  JsonValue value;
  if (!parser.document(value)) {
    where.offset = std::max<std::int64_t>(where.offset, 0) + parser.offset();
    return DataError("not a Python literal: " + parser.sentence(), std::move(where));
  }
  return value;
}

inline JsonValue parse_python_literal(std::string_view text) {
  return try_parse_python_literal(text).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
