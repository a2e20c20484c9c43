// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/join_tokens.hpp>
#include <simgr/text/pre_tokens.hpp>
#include <simgr/text/unicode.hpp>

namespace simgr::SIMGR_ABI::text {

/// Words between white space.
struct SpaceSplit {
  void operator()(PreTokens& tokens) const {
    tokens.split([](std::string_view piece, auto&& emit) {
      std::size_t begin = 0;
      for (std::size_t at = 0; at < piece.size();) {
        const Utf8Step step = decode_utf8(piece.substr(at));
        if (is_white_space(step.value)) {
          emit(begin, at);
          begin = at + step.bytes;
        }
        at += step.bytes;
      }
      emit(begin, piece.size());
    });
  }
};

/// Blanks become a visible mark, and words begin at one.
///
/// Source  Kudo and Richardson, SentencePiece, arXiv 1808.06226
struct Metaspace {
  enum class Prepend { never, first, always };
  std::string mark = "\u2581";
  Prepend prepend = Prepend::always;  // a mark before a word without one; first: of the text
  bool split = true;

  void operator()(PreTokens& tokens) const {
    AlignedText text;
    for (PreTokens::Word& word : tokens.words) {
      const std::string_view old = tokens.view(word);
      const auto begin = static_cast<std::uint32_t>(text.text.size());
      const bool marked = old.starts_with(' ') || old.starts_with(mark);
      const bool opens = tokens.opens_text && word.begin == 0;
      const auto put_mark = [&](TextSpan source) {
        text.text += mark;
        text.sources.resize(text.text.size(), source);
      };
      if (!marked && (prepend == Prepend::always || (prepend == Prepend::first && opens))) {
        const std::uint32_t at = tokens.text.source(word.begin, word.end).begin;
        put_mark({at, at});
      }
      for (std::size_t i = 0; i < old.size(); ++i) {
        const TextSpan source = tokens.text.source(word.begin + i, word.begin + i + 1);
        if (old[i] == ' ') {
          put_mark(source);
        } else {
          text.text += old[i];
          text.sources.push_back(source);
        }
      }
      word = {begin, static_cast<std::uint32_t>(text.text.size())};
    }
    tokens.text = std::move(text);
    if (split) {
      tokens.split([this](std::string_view piece, auto&& emit) {
        std::size_t begin = 0;
        for (std::size_t at = piece.find(mark, 1); at != std::string_view::npos;
             at = piece.find(mark, at + mark.size())) {
          emit(begin, at);
          begin = at;
        }
        emit(begin, piece.size());
      });
    }
  }
};

/// Marks become blanks, but for those of the first token where one was put before the text.
struct JoinMetaspace {
  std::string mark = "\u2581";
  bool drops_first = true;

  void operator()(std::vector<std::string>& tokens) const {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      replace_all(tokens[i], mark, i == 0 && drops_first ? "" : " ");
    }
  }
};

/// Every `from` becomes `to`.
struct JoinReplaced {
  std::string from, to;

  void operator()(std::vector<std::string>& tokens) const {
    for (std::string& token : tokens) { replace_all(token, from, to); }
  }
};

/// Tokens for single bytes ("<0x0A>") side by side are the bytes; if those are no UTF-8, each is one
/// U+FFFD.
struct JoinByteTokens {
  void operator()(std::vector<std::string>& tokens) const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < tokens.size();) {
      std::string bytes;
      for (int byte = 0; i < tokens.size() && (byte = byte_of(tokens[i])) >= 0; ++i) {
        bytes += static_cast<char>(byte);
      }
      if (bytes.empty()) {
        out.push_back(std::move(tokens[i++]));
      } else if (is_utf8_up_to(bytes, 0xFF)) {
        out.push_back(std::move(bytes));
      } else {
        out.insert(out.end(), bytes.size(), "\uFFFD");
      }
    }
    tokens = std::move(out);
  }

private:
  static int digit(char c) noexcept {
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
  }
  static int byte_of(std::string_view token) noexcept {
    const bool shaped = token.size() == 6 && token.starts_with("<0x") && token.back() == '>' &&
                        digit(token[3]) >= 0 && digit(token[4]) >= 0;
    return shaped ? digit(token[3]) * 16 + digit(token[4]) : -1;
  }
};

/// All tokens are one.
struct JoinAll {
  void operator()(std::vector<std::string>& tokens) const {
    std::string text;
    for (const std::string& token : tokens) { text += token; }
    tokens = {std::move(text)};
  }
};

/// Takes as many of a character, at most, off the ends of every token.
struct JoinStripped {
  std::string character = " ";
  std::size_t left = 0, right = 0;

  void operator()(std::vector<std::string>& tokens) const {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::size_t i = 0; i < left && rest.starts_with(character); ++i) {
        rest.remove_prefix(character.size());
      }
      for (std::size_t i = 0; i < right && rest.ends_with(character); ++i) {
        rest.remove_suffix(character.size());
      }
      token = std::string(rest);
    }
  }
};

}  // namespace simgr::SIMGR_ABI::text
