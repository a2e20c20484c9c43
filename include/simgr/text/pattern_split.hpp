// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

#include <simgr/core/config.hpp>
#include <simgr/core/types.hpp>
#include <simgr/text/pre_tokens.hpp>
#include <simgr/text/unicode.hpp>

namespace simgr::SIMGR_ABI::text {

/// The patterns that byte-level models split text by, scanned by hand: runs of letters, of digits, of
/// other marks and of white space, and English contractions. The last blank of a run goes with what
/// follows it.
///
/// Cost    linear, one look ahead
/// Source  the patterns published with GPT-2, Llama 3 and Qwen2, see `known_patterns`
struct PatternSplit {
  bool any_case = false;   // contractions also in capitals
  bool any_mark = false;   // any one mark, not only a blank, goes with the letters behind it
  Index most_digits = 0;   // in one word, and no blank before; 0: all of a run, and a blank
  bool line_ends = false;  // line ends go with the marks before them, and end words of white space

  static constexpr PatternSplit gpt2() noexcept { return {}; }

  void operator()(PreTokens& tokens) const {
    tokens.split([this](std::string_view piece, auto&& emit) {
      for (std::size_t at = 0; at < piece.size();) {
        const std::size_t end = at + word(piece.substr(at));
        emit(at, end);
        at = end;
      }
    });
  }

private:
  enum class Kind { letter, number, space, mark, end };
  struct Character {
    Kind kind = Kind::end;
    char32_t value = 0;
    std::size_t bytes = 0;
  };

  static Character character(std::string_view text) noexcept {
    if (text.empty()) {
      return {};
    }
    const Utf8Step step = decode_utf8(text);
    const char32_t c = step.value;
    const Kind kind = is_letter(c)        ? Kind::letter
                      : is_number(c)      ? Kind::number
                      : is_white_space(c) ? Kind::space
                                          : Kind::mark;
    return {kind, c, step.bytes};
  }
  static bool is_line_end(char32_t c) noexcept { return c == U'\r' || c == U'\n'; }

  /// Where the run of a kind that begins at `at` ends.
  static std::size_t run(std::string_view text, std::size_t at, Kind kind) noexcept {
    for (Character c = character(text.substr(at)); c.kind == kind; c = character(text.substr(at))) {
      at += c.bytes;
    }
    return at;
  }

  /// Bytes of the first word.
  std::size_t word(std::string_view text) const noexcept {
    if (const std::size_t bytes = contraction(text)) {
      return bytes;
    }
    const Character first = character(text);
    // A blank, or any mark, that goes with what follows.
    const bool blank = first.value == U' ';
    const bool joins = any_mark ? (first.kind == Kind::space || first.kind == Kind::mark) &&
                                      !is_line_end(first.value)
                                : blank;
    const Character second = joins || blank ? character(text.substr(first.bytes)) : Character{};
    if (first.kind == Kind::letter || (joins && second.kind == Kind::letter)) {
      return run(text, first.bytes, Kind::letter);
    }
    if (first.kind == Kind::number && most_digits > 0) {
      std::size_t end = first.bytes;
      for (Index digits = 1; digits < most_digits; ++digits) {
        const Character next = character(text.substr(end));
        if (next.kind != Kind::number) {
          break;
        }
        end += next.bytes;
      }
      return end;
    }
    if (first.kind == Kind::number || (blank && second.kind == Kind::number && most_digits == 0)) {
      return run(text, first.bytes, Kind::number);
    }
    if (first.kind == Kind::mark || (blank && second.kind == Kind::mark)) {
      std::size_t end = run(text, first.bytes, Kind::mark);
      while (line_ends && end < text.size() && is_line_end(static_cast<unsigned char>(text[end]))) {
        ++end;
      }
      return end;
    }
    return white_space(text);
  }

  /// A run of white space: up to its last line end; else without its last character, unless nothing
  /// follows or it is the only one.
  std::size_t white_space(std::string_view text) const noexcept {
    std::size_t end = 0, last = 0, behind_line = 0;
    for (Character c = character(text); c.kind == Kind::space; c = character(text.substr(end))) {
      last = end;
      end += c.bytes;
      behind_line = is_line_end(c.value) ? end : behind_line;
    }
    if (line_ends && behind_line > 0) {
      return behind_line;
    }
    return end == text.size() || last == 0 ? end : last;
  }

  /// Bytes of 's 't 're 've 'm 'll 'd at the start, or 0.
  std::size_t contraction(std::string_view text) const noexcept {
    if (text.empty() || text[0] != '\'') {
      return 0;
    }
    constexpr char32_t long_s = 0x17F;  // a small s whatever the case
    const auto letter = [&](std::size_t at) -> Character {
      Character c = character(text.substr(at));
      c.value = !any_case           ? c.value
                : c.value == long_s ? U's'
                : c.value < 0x80    ? small_letter(c.value)
                                    : 0;
      return c;
    };
    const Character first = letter(1);
    switch (first.value) {
    case U's':
    case U't':
    case U'm':
    case U'd':
      return 1 + first.bytes;
    case U'r':
    case U'v':
      return letter(2).value == U'e' ? 3 : 0;
    case U'l':
      return letter(2).value == U'l' ? 3 : 0;
    default:
      return 0;
    }
  }
};

/// The scanner of a published pattern, by its text.
inline std::optional<PatternSplit> known_pattern(std::string_view pattern) noexcept {
  struct Known {
    std::string_view pattern;
    PatternSplit split;
  };
  constexpr Known known_patterns[] = {
      {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
       PatternSplit{}},
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       PatternSplit{true, true, 1, true}},
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       PatternSplit{true, true, 3, true}},
  };
  for (const Known& known : known_patterns) {
    if (known.pattern == pattern) {
      return known.split;
    }
  }
  return std::nullopt;
}

/// A blank before every word that does not begin with one.
struct PrefixBlank {
  void operator()(PreTokens& tokens) const {
    AlignedText text;
    for (PreTokens::Word& word : tokens.words) {
      const auto begin = static_cast<std::uint32_t>(text.text.size());
      const std::uint32_t source = tokens.text.source(word.begin, word.end).begin;
      if (!tokens.view(word).starts_with(' ')) {
        text.text += ' ';
        text.sources.push_back({source, source});
      }
      text.text += tokens.view(word);
      for (std::size_t i = word.begin; i < word.end; ++i) {
        text.sources.push_back(tokens.text.source(i, i + 1));
      }
      word = {begin, static_cast<std::uint32_t>(text.text.size())};
    }
    tokens.text = std::move(text);
  }
};

}  // namespace simgr::SIMGR_ABI::text
