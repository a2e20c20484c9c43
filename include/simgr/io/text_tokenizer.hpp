// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/data/byte_source.hpp>
#include <simgr/data/json.hpp>
#include <simgr/data/utf8.hpp>
#include <simgr/io/json_fields.hpp>
#include <simgr/io/tokenizer_steps.hpp>
#include <simgr/text/text_tokenizer.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// Turns the document of a tokenizer.json into the parts of a tokenizer.
class TokenizerJson {
public:
  using Field = JsonFields::Field;

  TokenizerJson(const data::JsonValue& root, const std::string& file)
      : json_(root, file), steps_(json_) {}

  Result<text::TextTokenizer> read() {
    const Field root = json_.root();
    json_.expect(root.value->as_object() != nullptr, root, "an object");
    const Field model = json_.member(root, "model");
    json_.expect(model && model.value->as_object() != nullptr, model, "an object");
    const Field post = json_.member(root, "post_processor");
    if (json_.ok()) {
      steps_.read();
      read_vocabulary(json_.member(model, "vocab"));
      read_added(json_.member(root, "added_tokens"));
      read_template(post);
      longest_ = json_.integer(json_.member(root, "truncation"), "max_length", 0, 1, INT32_MAX);
    }
    if (json_.ok()) {
      return read_model(model);
    }
    return *json_.failure();
  }

private:
  using Tokens = std::vector<std::string>;

  /// Ids are dense but for few: what a table by id takes stays in proportion to the file.
  static std::int64_t most_ids(std::size_t tokens) {
    return std::min<std::int64_t>(INT32_MAX, static_cast<std::int64_t>(tokens) * 4 + 1024);
  }

  void read_vocabulary(const Field& vocab) {
    if (vocab && vocab.value->as_array() != nullptr) {
      read_pieces(vocab);
      return;
    }
    const auto* object = vocab ? vocab.value->as_object() : nullptr;
    json_.expect(object != nullptr, vocab, "an object of tokens and ids");
    if (object == nullptr) {
      return;
    }
    const std::int64_t most = most_ids(object->size());
    std::vector<bool> taken;
    for (const data::JsonMember& member : *object) {
      const auto field = [&] {
        return Field{&member.value, "model.vocab[" + data::in_quotes(member.key) + "]"};
      };
      const std::int64_t found = member.value.as_integer().value_or(-1);
      if (found < 0 || found >= most) {
        json_.integer(field(), 0, most - 1);
        return;
      }
      const auto id = static_cast<std::size_t>(found);
      if (id >= vocabulary_.size()) {
        vocabulary_.resize(id + 1);
        taken.resize(id + 1);
      }
      if (taken[id]) {
        json_.fail(field(), "the id " + std::to_string(id) + " is also that of " +
                                data::in_quotes(vocabulary_[id]));
        return;
      }
      taken[id] = true;
      vocabulary_[id] = member.key;
    }
    ids_ = index_of(vocabulary_);
  }

  /// A unigram model's list of pieces and their log-probabilities.
  void read_pieces(const Field& vocab) {
    const std::size_t count = vocab.value->as_array()->size();
    for (std::size_t i = 0; i < count && json_.ok(); ++i) {
      const Field field = json_.element(vocab, i);
      const std::vector<Field> pair = json_.list(field);
      json_.expect(pair.size() == 2, field, "a piece and its score");
      if (json_.ok()) {
        const auto score = pair[1].value->as_number();
        json_.expect(score.has_value(), pair[1], "a number");
        vocabulary_.push_back(json_.text(pair[0]));
        scores_.push_back(score.value_or(0));
      }
    }
    ids_ = index_of(vocabulary_);
    for (std::size_t i = 0; i < vocabulary_.size() && json_.ok(); ++i) {
      if (vocabulary_[i].empty() || ids_.find(vocabulary_[i]) != static_cast<text::TokenId>(i)) {
        json_.fail(json_.element(vocab, i),
                   "the piece " + data::in_quotes(vocabulary_[i]) + " is empty or stands twice");
      }
    }
  }

  void read_added(const Field& field) {
    const std::vector<Field> list = json_.list(field);
    const std::int64_t most = most_ids(vocabulary_.size() + list.size());
    std::vector<std::pair<text::TokenId, std::size_t>> order;
    for (const Field& each : list) {
      text::AddedToken token;
      token.content = json_.text(json_.member(each, "content"));
      token.id = static_cast<text::TokenId>(json_.integer(json_.member(each, "id"), 0, most - 1));
      token.special = json_.flag(each, "special", false);
      token.single_word = json_.flag(each, "single_word", false);
      token.left_strip = json_.flag(each, "lstrip", false);
      token.right_strip = json_.flag(each, "rstrip", false);
      token.normalized = json_.flag(each, "normalized", !token.special);
      if (!json_.ok()) {
        return;
      }
      const auto id = static_cast<std::size_t>(token.id);
      const text::TokenId known = ids_.find(token.content);
      if (token.content.empty() || token.content.size() > longest_added) {
        json_.fail(json_.member(each, "content"), "expected 1 to " + std::to_string(longest_added) +
                                                      " bytes, found " +
                                                      std::to_string(token.content.size()));
      } else if (known >= 0 && known != token.id) {
        json_.fail(json_.member(each, "id"),
                   "the vocabulary gives " + data::in_quotes(token.content) + " the id " +
                       std::to_string(known) + ", not " + std::to_string(token.id));
      } else if (id < vocabulary_.size() && !vocabulary_[id].empty() && known < 0) {
        json_.fail(json_.member(each, "id"), "the id " + std::to_string(id) + " is that of " +
                                                 data::in_quotes(vocabulary_[id]) +
                                                 " in the vocabulary");
      }
      order.push_back({token.id, added_.size()});
      added_.push_back(std::move(token));
    }
    std::sort(order.begin(), order.end());
    for (std::size_t i = 1; i < order.size(); ++i) {
      const Field id = json_.member(list[order[i].second], "id");
      if (order[i].first == order[i - 1].first) {
        json_.fail(id, "two added tokens have the id " + std::to_string(order[i].first));
      }
    }
    Tokens contents;
    for (const text::AddedToken& token : added_) { contents.push_back(token.content); }
    added_ids_ = index_of(contents);  // ids are places in added_
    if (json_.ok() && added_ids_.size() != added_.size()) {
      json_.fail(field, "two added tokens have the same content");
    }
  }

  /// The id of a token of the model or an added one, or -1.
  text::TokenId id_of(const std::string& token) const {
    const text::TokenId added = added_ids_.find(token);
    return added >= 0 ? added_[static_cast<std::size_t>(added)].id : ids_.find(token);
  }
  text::TokenId require_id(const Field& field, const std::string& token) {
    const text::TokenId id = id_of(token);
    if (id < 0) {
      json_.fail(field, "the token " + data::in_quotes(token) + " is not in the vocabulary");
    }
    return id;
  }

  /// The ids before and behind one text.
  void read_template(const Field& field) {
    steps_.for_each_step(field, "processors", [&](const Field& step, const std::string& type) {
      if (type == "TemplateProcessing") {
        bool seen = false;
        for (const Field& piece : json_.list(json_.member(step, "single"))) {
          const Field special = json_.member(piece, "SpecialToken");
          if (!special) {
            json_.expect(!seen && json_.member(piece, "Sequence").value != nullptr, piece,
                         "one SpecialToken or the one Sequence");
            seen = true;
            continue;
          }
          const std::string name = json_.text(json_.member(special, "id"));
          const Field token = json_.member(json_.member(step, "special_tokens"), name);
          for (const Field& id : json_.list(json_.member(token, "ids"))) {
            const std::int64_t largest = largest_id();
            (seen ? behind_ : before_)
                .push_back(static_cast<text::TokenId>(json_.integer(id, 0, largest)));
          }
          json_.expect(token.value != nullptr, token, "an object");
        }
        json_.expect(seen, json_.member(step, "single"), "a Sequence");
      } else if (type == "BertProcessing" || type == "RobertaProcessing") {
        for (const auto& [name, ids] : {std::pair("cls", &before_), std::pair("sep", &behind_)}) {
          const std::vector<Field> pair = json_.list(json_.member(step, name));
          json_.expect(pair.size() == 2, json_.member(step, name), "a token and its id");
          if (json_.ok()) {
            ids->push_back(static_cast<text::TokenId>(json_.integer(pair[1], 0, largest_id())));
          }
        }
      } else if (type != "ByteLevel") {  // which moves offsets alone
        steps_.unknown(step, type,
                       "TemplateProcessing, BertProcessing, RobertaProcessing and ByteLevel");
      }
    });
  }
  std::int64_t largest_id() const {
    std::int64_t largest = static_cast<std::int64_t>(vocabulary_.size()) - 1;
    for (const text::AddedToken& token : added_) {
      largest = std::max<std::int64_t>(largest, token.id);
    }
    return largest;
  }

  Result<text::TextTokenizer> read_model(const Field& model) {
    const std::string type = steps_.type_of(model);
    if (type != "Unigram" && !scores_.empty()) {
      json_.fail(json_.member(model, "vocab"),
                 "expected an object of tokens and ids, found a list");
    }
    if (type == "WordPiece") {
      text::WordPiece::Config config;
      config.continuing_prefix = json_.text(model, "continuing_subword_prefix", "##");
      config.longest_word = json_.integer(model, "max_input_chars_per_word", 100, 1, 1 << 16);
      const Field unknown = json_.member(model, "unk_token");
      config.unknown = require_id(unknown, json_.text(model, "unk_token", "[UNK]"));
      return finish(text::WordPiece(config, vocabulary_));
    }
    if (type == "BPE") {
      return read_byte_pairs(model);
    }
    if (type == "Unigram") {
      return read_unigram(model);
    }
    steps_.unknown(model, type, "WordPiece, BPE and Unigram");
    return *json_.failure();
  }

  Result<text::TextTokenizer> read_unigram(const Field& model) {
    const Field vocab = json_.member(model, "vocab");
    json_.expect(vocab.value->as_array() != nullptr, vocab, "a list of pieces and scores");
    text::Unigram::Config config;
    const std::int64_t last = static_cast<std::int64_t>(vocabulary_.size()) - 1;
    config.unknown =
        static_cast<text::TokenId>(json_.integer(json_.member(model, "unk_id"), 0, last));
    config.spells_bytes = json_.flag(model, "byte_fallback", false);
    config.bytes = byte_tokens();
    if (!json_.ok()) {
      return *json_.failure();
    }
    return finish(text::Unigram(config, vocabulary_, std::move(scores_)));
  }

  /// The tokens that stand for a byte each, -1 where there is none.
  std::array<text::TokenId, 256> byte_tokens() const {
    std::array<text::TokenId, 256> ids{};
    for (std::size_t byte = 0; byte < 256; ++byte) {
      ids[byte] = ids_.find(text::byte_token(static_cast<unsigned char>(byte)));
    }
    return ids;
  }

  Result<text::TextTokenizer> read_byte_pairs(const Field& model) {
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!json_.text(model, name, "").empty()) {
        json_.fail(json_.member(model, name), "expected null or nothing: not known here");
      }
    }
    text::BytePairs::Config config;
    config.byte_level = steps_.byte_level;
    config.whole_words = json_.flag(model, "ignore_merges", false);
    config.fuse_unknown = json_.flag(model, "fuse_unk", false);
    if (const Field unknown = json_.member(model, "unk_token")) {
      config.unknown = require_id(unknown, json_.text(unknown));
    }
    if (json_.flag(model, "byte_fallback", false)) {
      config.bytes = byte_tokens();
    }
    std::vector<text::BytePairs::Merge> merges = read_merges(json_.member(model, "merges"));
    return finish(text::BytePairs(config, vocabulary_, std::move(merges)));
  }

  std::vector<text::BytePairs::Merge> read_merges(const Field& list) {
    std::vector<text::BytePairs::Merge> merges;
    const auto* array = list ? list.value->as_array() : nullptr;
    json_.expect(array != nullptr, list, "a list of pairs of tokens");
    for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
      const auto [left, right] = parts_of((*array)[i]);
      const std::string whole = std::string(left) + std::string(right);
      const text::BytePairs::Merge merge{ids_.find(left), ids_.find(right), ids_.find(whole)};
      const bool known = merge.left >= 0 && merge.right >= 0 && merge.whole >= 0;
      if (left.empty() || right.empty() || !known) {
        const std::string_view missing = merge.left < 0 ? left : merge.right < 0 ? right : whole;
        json_.fail(json_.element(list, i),
                   left.empty() || right.empty()
                       ? "expected two tokens, in a list or with one blank between them"
                       : "the token " + data::in_quotes(missing) + " is not in model.vocab");
        break;
      }
      merges.push_back(merge);
    }
    return merges;
  }
  /// The two tokens of a merge, "a b" or ["a", "b"]; empty ones where it is neither.
  static std::pair<std::string_view, std::string_view> parts_of(const data::JsonValue& merge) {
    if (const std::string* both = merge.as_text()) {
      const std::size_t blank = both->find(' ');
      const std::string_view all = *both;
      return {all.substr(0, blank), blank < all.size() ? all.substr(blank + 1) : ""};
    }
    const auto* pair = merge.as_array();
    if (pair == nullptr || pair->size() != 2) {
      return {};
    }
    const std::string *left = (*pair)[0].as_text(), *right = (*pair)[1].as_text();
    return {left != nullptr ? std::string_view(*left) : "",
            right != nullptr ? std::string_view(*right) : ""};
  }

  Result<text::TextTokenizer> finish(text::TokenModel model) {
    if (!json_.ok()) {
      return *json_.failure();
    }
    return text::TextTokenizer({.normalizers = std::move(steps_.normalizers),
                                .splitters = std::move(steps_.splitters),
                                .model = std::move(model),
                                .joiners = std::move(steps_.joiners),
                                .vocabulary = std::move(vocabulary_),
                                .added = std::move(added_),
                                .before = std::move(before_),
                                .behind = std::move(behind_),
                                .longest = static_cast<Index>(longest_)});
  }

  static text::TokenIndex index_of(const Tokens& tokens) {
    std::vector<text::TokenIndex::Entry> entries;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!tokens[i].empty()) {
        entries.push_back({tokens[i], static_cast<text::TokenId>(i)});
      }
    }
    return text::TokenIndex(std::move(entries));
  }

  static constexpr std::size_t longest_added = 4096;

  JsonFields json_;
  TokenizerSteps steps_;
  Tokens vocabulary_;
  std::vector<text::AddedToken> added_;
  text::TokenIndex ids_, added_ids_;
  std::vector<text::TokenId> before_, behind_;
  std::int64_t longest_ = 0;
  std::vector<double> scores_;  // of a unigram model
};

}  // namespace detail

/// What reading a tokenizer.json may cost.
struct TextTokenizerLimits {
  std::int64_t file_bytes = std::int64_t{256} << 20;  // unpacked
};

/// The tokenizer that the text of a tokenizer.json describes.
///
/// @param file  how messages call it
inline Result<text::TextTokenizer> try_parse_text_tokenizer(std::string_view json,
                                                            const std::string& file = {}) {
  auto root = data::try_parse_json(json, {.file = file});
  if (!root) {
    return root.error();
  }
  return detail::TokenizerJson(*root, file).read();
}

/// Reads the tokenizer.json of a published model, plain or `.gz`.
///
/// Cost    O(bytes · log bytes); memory about 40 times the file
/// Errors  IoError; DataError that names file, byte and field: no JSON (see read_json_events), a missing
///         field or one of another type, a type of step that is not known, ids that are out of range, in
///         use twice or far above the number of tokens, tokens that are not in the vocabulary
inline Result<text::TextTokenizer> try_read_text_tokenizer(const std::string& path,
                                                           const TextTokenizerLimits& limits = {}) {
  auto json = data::try_read_bytes(path, {.total_bytes = limits.file_bytes});
  if (!json) {
    return json.error();
  }
  return try_parse_text_tokenizer(*json, path);
}
inline text::TextTokenizer read_text_tokenizer(const std::string& path,
                                               const TextTokenizerLimits& limits = {}) {
  return try_read_text_tokenizer(path, limits).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::io
