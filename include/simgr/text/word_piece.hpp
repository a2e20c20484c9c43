// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/core/types.hpp>
#include <simgr/text/token_index.hpp>

namespace simgr::SIMGR_ABI::text {

/// WordPiece: from the left, always the longest token of the vocabulary; tokens that continue a word
/// carry a prefix. A word that cannot be spelt, or is longer than the limit, is one unknown token.
///
/// Cost    O(bytes of the word · log vocabulary) times the length of the longest matching token
/// Source  Schuster and Nakajima 2012; Devlin et al., arXiv 1810.04805
class WordPiece {
public:
  struct Config {
    std::string continuing_prefix = "##";
    Index longest_word = 100;  // characters
    TokenId unknown = 0;
  };

  WordPiece(Config config, const std::vector<std::string>& tokens) : config_(std::move(config)) {
    std::vector<TokenIndex::Entry> begins, continues;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      const std::string_view token = tokens[i];
      begins.push_back({token, id});
      if (token.starts_with(config_.continuing_prefix)) {
        continues.push_back({token.substr(config_.continuing_prefix.size()), id});
      }
    }
    begins_ = TokenIndex(std::move(begins));
    continues_ = TokenIndex(std::move(continues));
  }

  const Config& config() const noexcept { return config_; }

  /// Calls emit(id, begin, end) for every token of one word, with its bytes of the word.
  template <class Emit>
  void encode(std::string_view word, Emit&& emit) const {
    if (too_long(word)) {
      emit(config_.unknown, std::size_t{0}, word.size());
      return;
    }
    std::vector<TokenIndex::Match> pieces;
    for (std::size_t at = 0; at < word.size(); at += pieces.back().bytes) {
      const TokenIndex& index = at == 0 ? begins_ : continues_;
      pieces.push_back(index.longest_prefix(word.substr(at)));
      if (pieces.back().bytes == 0) {
        emit(config_.unknown, std::size_t{0}, word.size());
        return;
      }
    }
    std::size_t at = 0;
    for (const TokenIndex::Match& piece : pieces) {
      emit(piece.id, at, at + piece.bytes);
      at += piece.bytes;
    }
  }

private:
  bool too_long(std::string_view word) const noexcept {
    Index characters = 0;
    for (const char c : word) { characters += (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }
    return characters > config_.longest_word;
  }

  Config config_;
  TokenIndex begins_, continues_;
};

}  // namespace simgr::SIMGR_ABI::text
