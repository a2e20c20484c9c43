// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/token_index.hpp>
#include <simgr/text/unicode.hpp>

namespace simgr::SIMGR_ABI::text {

/// A token that is found in the text as it stands, before the model sees it.
struct AddedToken {
  std::string content;
  TokenId id = -1;
  bool special = false;      // of the template, not of the language: decoding may leave it out
  bool single_word = false;  // no match inside a word
  bool left_strip = false;   // takes the white space before it
  bool right_strip = false;  // and behind it
  bool normalized = false;   // is sought in the normalised text
};

/// Finds added tokens: from the left, always the longest.
///
/// Cost  O(bytes · log tokens) times the length of the longest token
class AddedTokens {
public:
  AddedTokens() = default;

  /// @param normalize  `std::string operator()(const std::string&)`: what becomes of the content of
  ///                   a token that is sought in normalised text
  template <class Normalize>
  AddedTokens(std::vector<AddedToken> tokens, Normalize&& normalize) : tokens_(std::move(tokens)) {
    std::vector<std::string> contents;
    for (const AddedToken& token : tokens_) {
      contents.push_back(token.normalized ? normalize(token.content) : token.content);
    }
    std::vector<TokenIndex::Entry> raw, normalized;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const TokenIndex::Entry entry{contents[i], static_cast<TokenId>(i)};
      (tokens_[i].normalized ? normalized : raw).push_back(entry);
    }
    raw_ = TokenIndex(std::move(raw));
    normalized_ = TokenIndex(std::move(normalized));
  }

  const std::vector<AddedToken>& tokens() const noexcept { return tokens_; }

  /// Calls on_text(begin, end) and on_token(token, begin, end) for all of `text` in order; no piece
  /// of text is empty.
  template <class OnText, class OnToken>
  void split(std::string_view text, bool is_normalized, OnText&& on_text,
             OnToken&& on_token) const {
    const TokenIndex& index = is_normalized ? normalized_ : raw_;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size() && index.size() > 0;) {
      const TokenIndex::Match match = index.longest_prefix(text.substr(at));
      if (match.bytes == 0) {
        ++at;
        continue;
      }
      const AddedToken& token = tokens_[static_cast<std::size_t>(match.id)];
      std::size_t first = at, last = at + match.bytes;
      at = last;
      if (token.single_word &&
          (ends_with_word(text.substr(0, first)) || starts_with_word(text.substr(last)))) {
        continue;
      }
      if (token.left_strip) {
        first = begin + without_trailing_space(text.substr(begin, first - begin));
      }
      if (token.right_strip) {
        last += leading_space(text.substr(last));
      }
      if (begin < first) {
        on_text(begin, first);
      }
      on_token(token, first, last);
      begin = at = last;
    }
    if (begin < text.size()) {
      on_text(begin, text.size());
    }
  }

private:
  static bool is_word(char32_t c) noexcept {
    return c == U'_' || is_letter(c) || is_number(c) || is_nonspacing_mark(c);
  }
  static std::size_t last_character(std::string_view text) noexcept {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0u) == 0x80u) { --begin; }
    return begin;
  }
  static bool starts_with_word(std::string_view text) noexcept {
    return !text.empty() && is_word(decode_utf8(text).value);
  }
  static bool ends_with_word(std::string_view text) noexcept {
    return !text.empty() && is_word(decode_utf8(text.substr(last_character(text))).value);
  }
  static std::size_t leading_space(std::string_view text) noexcept {
    std::size_t at = 0;
    while (at < text.size()) {
      const Utf8Step step = decode_utf8(text.substr(at));
      if (!is_white_space(step.value)) {
        break;
      }
      at += step.bytes;
    }
    return at;
  }
  static std::size_t without_trailing_space(std::string_view text) noexcept {
    while (!text.empty()) {
      const std::size_t last = last_character(text);
      if (!is_white_space(decode_utf8(text.substr(last)).value)) {
        break;
      }
      text = text.substr(0, last);
    }
    return text.size();
  }

  std::vector<AddedToken> tokens_;
  TokenIndex raw_, normalized_;  // their ids are places in tokens_
};

}  // namespace simgr::SIMGR_ABI::text
