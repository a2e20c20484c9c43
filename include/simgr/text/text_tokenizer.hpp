// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/types.hpp>
#include <simgr/text/added_tokens.hpp>
#include <simgr/text/aligned_text.hpp>
#include <simgr/text/bert_text.hpp>
#include <simgr/text/byte_pairs.hpp>
#include <simgr/text/character_map.hpp>
#include <simgr/text/join_tokens.hpp>
#include <simgr/text/metaspace.hpp>
#include <simgr/text/normal_form.hpp>
#include <simgr/text/pattern_split.hpp>
#include <simgr/text/pre_tokens.hpp>
#include <simgr/text/rewrite.hpp>
#include <simgr/text/token_index.hpp>
#include <simgr/text/unigram.hpp>
#include <simgr/text/word_piece.hpp>

namespace simgr::SIMGR_ABI::text {

// What a tokenizer is made of, as tokenizer.json names it; <simgr/io/text_tokenizer.hpp> reads one.
//
//   text ─► added tokens ─► normalisers ─► added tokens ─► splitters ─► model ─► template ─► ids
//           (as written)                   (normalised)                                        │
//   text ◄─ joiners ◄─ tokens ◄────────────────────────────────────────────────────────────────┘
using Normalizer = std::variant<BertNormalizer, NormalForm, CharacterMap, Lowercase, StripAccents,
                                StripSpace, Prepend, Replace>;
using Splitter = std::variant<BertSplit, PatternSplit, PrefixBlank, SpaceSplit, Metaspace>;
using TokenModel = std::variant<WordPiece, BytePairs, Unigram>;
using Joiner = std::variant<JoinWordPieces, JoinBytes, JoinMetaspace, JoinReplaced, JoinByteTokens,
                            JoinAll, JoinStripped>;

struct TextTokenizerParts {
  std::vector<Normalizer> normalizers{};
  std::vector<Splitter> splitters{};
  TokenModel model;
  std::vector<Joiner> joiners{};            // none: a blank between tokens
  std::vector<std::string> vocabulary{};    // of the model, by id; empty where there is none
  std::vector<AddedToken> added{};          // their ids may be in the vocabulary or above it
  std::vector<TokenId> before{}, behind{};  // the template: special tokens around one text
  Index longest = 0;                        // what the file truncates to; 0: nothing
};

struct EncodeOptions {
  bool special_tokens = false;  // with those of the template
  Index longest = 0;            // as many tokens at most, those of the template included; 0: all
};

/// Ids and, for each, the bytes of the text it stands for; none for tokens of the template.
struct TextTokens {
  std::vector<TokenId> ids;
  std::vector<TextSpan> sources;

  void push(TokenId id, TextSpan source) {
    ids.push_back(id);
    sources.push_back(source);
  }
  /// Room for `more` at least, taken so that it stays linear however often it is asked for.
  void expect(std::size_t more) {
    if (ids.size() + more > ids.capacity()) {
      const std::size_t room = std::max(ids.size() + more, 2 * ids.capacity());
      ids.reserve(room);
      sources.reserve(room);
    }
  }
};

/// Texts to token ids and back. Const functions may run at the same time.
///
/// Cost    linear in the text for a given vocabulary, see the models
/// Errors  DataError for a text of 4 GiB or more, one that normalisers make absurdly long, and for ids
///         that are not in the vocabulary
class TextTokenizer {
public:
  explicit TextTokenizer(TextTokenizerParts parts) : parts_(std::move(parts)) { index(); }

  /// Bytes that are no UTF-8 are read as U+FFFD.
  TextTokens encode(std::string_view text, const EncodeOptions& options = {}) const {
    if (text.size() >= UINT32_MAX) {
      raise(DataError("a text of " + std::to_string(text.size()) +
                      " bytes: a tokenizer takes fewer than 4 GiB"));
    }
    TextTokens tokens;
    tokens.ids.reserve(text.size() / 4 + 8);
    tokens.sources.reserve(text.size() / 4 + 8);
    if (options.special_tokens) {
      for (const TokenId id : parts_.before) { tokens.push(id, {}); }
    }
    added_.split(
        text, false,
        [&](std::size_t begin, std::size_t end) {
          encode_piece(text.substr(begin, end - begin), begin, tokens);
        },
        [&](const AddedToken& token, std::size_t begin, std::size_t end) {
          tokens.push(token.id,
                      {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
        });
    const std::size_t behind = options.special_tokens ? parts_.behind.size() : 0;
    if (options.longest > 0) {
      const auto longest = static_cast<std::size_t>(options.longest);
      const std::size_t most = longest - std::min(longest, behind);
      tokens.ids.resize(std::min(tokens.ids.size(), most));
      tokens.sources.resize(tokens.ids.size());
    }
    for (std::size_t i = 0; i < behind; ++i) { tokens.push(parts_.behind[i], {}); }
    return tokens;
  }

  /// The text of ids, UTF-8 whatever the ids.
  std::string decode(std::span<const TokenId> ids, bool without_special = false) const {
    std::vector<std::string> tokens;
    for (const TokenId id : ids) {
      check(id);
      if (!without_special || !special_[static_cast<std::size_t>(id)]) {
        tokens.push_back(tokens_[static_cast<std::size_t>(id)]);
      }
    }
    for (const Joiner& joiner : parts_.joiners) {
      std::visit([&](const auto& step) { step(tokens); }, joiner);
    }
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      text += (parts_.joiners.empty() && i > 0 ? " " : "") + tokens[i];
    }
    return repaired_utf8(text);
  }

  /// One above the largest id: the rows that an embedding table needs.
  Index vocabulary_size() const noexcept { return static_cast<Index>(tokens_.size()); }
  /// A token as the file writes it; empty for an id that no token has.
  const std::string& token(TokenId id) const {
    check(id);
    return tokens_[static_cast<std::size_t>(id)];
  }
  /// The id of a token as the file writes it, or -1.
  TokenId id(std::string_view token) const noexcept {
    return token.empty() ? -1 : ids_.find(token);
  }
  bool is_special(TokenId id) const {
    check(id);
    return special_[static_cast<std::size_t>(id)];
  }
  /// The special tokens of the template around one text.
  struct Around {
    std::span<const TokenId> before, behind;
  };
  Around around() const noexcept { return {parts_.before, parts_.behind}; }
  /// Tokens that the file asks to truncate to, or 0: encode() does so only if told.
  Index longest() const noexcept { return parts_.longest; }

  /// Appends tokens, such as those of semantic ids, that are found anywhere in the normalised text.
  /// A token that is in the vocabulary keeps its id; new ids are consecutive.
  ///
  /// Cost    the whole vocabulary is indexed once more
  /// Errors  ConfigError for an empty token
  std::vector<TokenId> add_tokens(std::span<const std::string> contents) {
    std::map<std::string, TokenId> added;
    for (const AddedToken& token : parts_.added) { added.emplace(token.content, token.id); }
    std::vector<TokenId> ids;
    auto next = static_cast<TokenId>(tokens_.size());
    for (const std::string& content : contents) {
      if (content.empty()) {
        raise(ConfigError("an added token cannot be empty"));
      }
      const auto [known, is_new] = added.emplace(content, id(content));
      if (is_new) {
        known->second = known->second < 0 ? next++ : known->second;
        parts_.added.push_back({.content = content, .id = known->second, .normalized = true});
      }
      ids.push_back(known->second);
    }
    index();
    return ids;
  }

private:
  static constexpr std::size_t longest_growth = 16;  // published tables stay below 4

  void check(TokenId id) const {
    if (id < 0 || id >= vocabulary_size()) {
      raise(DataError("token id " + std::to_string(id) + " is not in the vocabulary of " +
                      std::to_string(vocabulary_size())));
    }
  }

  AlignedText normalized(std::string_view text, std::size_t begin) const {
    const auto offset = static_cast<std::uint32_t>(begin);
    if (is_utf8_up_to(text, unchanged_)) {
      return {std::string(text), {}, offset};
    }
    AlignedCharacters characters = characters_of(text, offset);
    for (const Normalizer& normalizer : parts_.normalizers) {
      std::visit([&](const auto& step) { step(characters); }, normalizer);
      if (characters.size() > text.size() * longest_growth + 4096) {
        raise(DataError("the normalisers of this tokenizer make " + std::to_string(text.size()) +
                        " bytes of text longer than " + std::to_string(longest_growth) +
                        " times as long"));
      }
    }
    return encoded(characters);
  }

  void encode_piece(std::string_view piece, std::size_t start, TextTokens& tokens) const {
    AlignedText text = normalized(piece, start);
    const std::size_t size = text.text.size();
    added_.split(
        text.text, true,
        [&](std::size_t begin, std::size_t end) {
          PreTokens words;
          // The whole, without an added token, is looked at no more.
          words.text = end - begin == size ? std::move(text) : text.part(begin, end);
          words.words = {{0, static_cast<std::uint32_t>(end - begin)}};
          words.opens_text = start == 0 && begin == 0;
          for (const Splitter& splitter : parts_.splitters) {
            std::visit([&](const auto& step) { step(words); }, splitter);
          }
          std::visit([&](const auto& model) { encode_words(model, words, tokens); }, parts_.model);
        },
        [&](const AddedToken& token, std::size_t begin, std::size_t end) {
          tokens.push(token.id, text.source(begin, end));
        });
  }

  template <class Model>
  static void encode_words(const Model& model, const PreTokens& words, TextTokens& tokens) {
    tokens.expect(words.words.size());
    for (const PreTokens::Word word : words.words) {
      model.encode(words.view(word), [&](TokenId id, std::size_t begin, std::size_t end) {
        tokens.push(id, words.text.source(word.begin + begin, word.begin + end));
      });
    }
  }

  void index() {
    unchanged_ = 0xFF;
    for (const Normalizer& normalizer : parts_.normalizers) {
      const auto keeps = [](const auto& step) { return step.keeps_up_to(); };
      unchanged_ = std::min(unchanged_, std::visit(keeps, normalizer));
    }
    tokens_ = parts_.vocabulary;
    for (const AddedToken& token : parts_.added) {
      const auto place = static_cast<std::size_t>(token.id);
      tokens_.resize(std::max(tokens_.size(), place + 1));
      tokens_[place] = token.content;
    }
    special_.assign(tokens_.size(), false);
    for (const AddedToken& token : parts_.added) {
      special_[static_cast<std::size_t>(token.id)] = token.special;
    }
    std::vector<TokenIndex::Entry> entries;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      entries.push_back({tokens_[i], static_cast<TokenId>(i)});
    }
    ids_ = TokenIndex(std::move(entries));
    added_ = AddedTokens(parts_.added,
                         [&](const std::string& content) { return normalized(content, 0).text; });
  }

  TextTokenizerParts parts_;
  std::vector<std::string> tokens_;  // of the model and added
  std::vector<bool> special_;
  TokenIndex ids_;
  AddedTokens added_;
  int unchanged_ = 0xFF;  // no normaliser changes a text of bytes up to this
};

}  // namespace simgr::SIMGR_ABI::text
