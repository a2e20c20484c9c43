// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/data/utf8.hpp>
#include <simgr/io/json_fields.hpp>
#include <simgr/text/text_tokenizer.hpp>

namespace simgr::SIMGR_ABI::io::detail {

/// The steps before and behind the model of a tokenizer.json: normalisers, splitters, joiners.
class TokenizerSteps {
public:
  using Field = JsonFields::Field;

  explicit TokenizerSteps(JsonFields& json) : json_(json) {}

  std::vector<text::Normalizer> normalizers;
  std::vector<text::Splitter> splitters;
  std::vector<text::Joiner> joiners;
  bool byte_level = false;  // a splitter writes bytes in the byte alphabet

  void read() {
    const Field root = json_.root();
    for_each_step(json_.member(root, "normalizer"), "normalizers",
                  [&](const Field& step, const std::string& type) { read_normalizer(step, type); });
    for_each_step(json_.member(root, "pre_tokenizer"), "pretokenizers",
                  [&](const Field& step, const std::string& type) { read_splitter(step, type); });
    for_each_step(json_.member(root, "decoder"), "decoders",
                  [&](const Field& step, const std::string& type) { read_joiner(step, type); });
  }

  std::string type_of(const Field& field) { return json_.text(json_.member(field, "type")); }

  void unknown(const Field& field, const std::string& type, std::string_view known) {
    json_.fail(field, "the type " + data::in_quotes(type) + " is not known here; known are " +
                          std::string(known));
  }

  /// Calls f(step, type) for the steps of a Sequence, whose list has that name, else for the field
  /// itself.
  template <class F>
  void for_each_step(const Field& field, std::string_view list, F&& f) {
    if (!field || !json_.ok()) {
      return;
    }
    const std::string type = type_of(field);
    if (type != "Sequence") {
      f(field, type);
      return;
    }
    for (const Field& step : json_.list(json_.member(field, list))) {
      for_each_step(step, list, f);  // not deeper than the document
    }
  }

private:
  void read_normalizer(const Field& step, const std::string& type) {
    if (type == "BertNormalizer") {
      text::BertNormalizer bert;
      bert.clean_text = json_.flag(step, "clean_text", true);
      bert.handle_chinese_chars = json_.flag(step, "handle_chinese_chars", true);
      bert.lowercase = json_.flag(step, "lowercase", true);
      bert.strip_accents = json_.flag(step, "strip_accents", bert.lowercase);
      normalizers.push_back(bert);
    } else if (type == "NFC" || type == "NFD") {
      normalizers.push_back(text::NormalForm{.composed = type == "NFC"});
    } else if (type == "Precompiled") {
      read_character_map(json_.member(step, "precompiled_charsmap"));
    } else if (type == "Lowercase") {
      normalizers.push_back(text::Lowercase{});
    } else if (type == "StripAccents") {
      normalizers.push_back(text::StripAccents{});
    } else if (type == "Strip") {
      normalizers.push_back(text::StripSpace{.left = json_.flag(step, "strip_left", true),
                                             .right = json_.flag(step, "strip_right", true)});
    } else if (type == "Prepend") {
      normalizers.push_back(text::Prepend{short_text(json_.member(step, "prepend"))});
    } else if (type == "Replace") {
      const auto [from, runs] = read_pattern_text(step);
      normalizers.push_back(text::Replace{from, short_text(json_.member(step, "content")), runs});
    } else {
      unknown(step, type,
              "BertNormalizer, NFC, NFD, Precompiled, Lowercase, StripAccents, Strip, Prepend and "
              "Replace");
    }
  }

  /// What is put in place of other text: short, so that no text grows out of proportion.
  std::string short_text(const Field& field) {
    constexpr std::size_t longest = 64;
    std::string text = json_.text(field);
    if (text.size() > longest) {
      json_.fail(field, "expected at most " + std::to_string(longest) + " bytes, found " +
                            std::to_string(text.size()));
    }
    return text;
  }

  void read_character_map(const Field& field) {
    const auto bytes = text::decode_base64(json_.text(field));
    auto map = bytes ? text::CharacterMap::parse(*bytes) : std::nullopt;
    if (map) {
      normalizers.push_back(*std::move(map));
    } else {
      json_.fail(field, bytes ? "the sizes of the table disagree" : "not base64");
    }
  }

  /// What a Replace seeks: a text, or the one expression that published files have, runs of blanks.
  std::pair<std::string, bool> read_pattern_text(const Field& step) {
    const Field pattern = json_.member(step, "pattern");
    if (const Field regex = json_.member(pattern, "Regex")) {
      if (json_.text(regex) != " {2,}") {
        json_.fail(regex, "known here is the expression \" {2,}\" alone");
      }
      return {" ", true};
    }
    return {json_.text(json_.member(pattern, "String")), false};
  }

  void read_splitter(const Field& step, const std::string& type) {
    if (type == "BertPreTokenizer") {
      splitters.push_back(text::BertSplit{});
    } else if (type == "Split") {
      read_pattern(step);
    } else if (type == "ByteLevel") {
      byte_level = true;
      if (json_.flag(step, "add_prefix_space", true)) {
        splitters.push_back(text::PrefixBlank{});
      }
      if (json_.flag(step, "use_regex", true)) {
        splitters.push_back(text::PatternSplit::gpt2());
      }
    } else if (type == "WhitespaceSplit") {
      splitters.push_back(text::SpaceSplit{});
    } else if (type == "Metaspace") {
      using Prepend = text::Metaspace::Prepend;
      const std::string scheme = prepend_scheme(step);
      splitters.push_back(text::Metaspace{.mark = mark(step),
                                          .prepend = scheme == "always"  ? Prepend::always
                                                     : scheme == "first" ? Prepend::first
                                                                         : Prepend::never,
                                          .split = json_.flag(step, "split", true)});
    } else {
      unknown(step, type, "BertPreTokenizer, Split, ByteLevel, WhitespaceSplit and Metaspace");
    }
  }

  void read_pattern(const Field& step) {
    const Field regex = json_.member(json_.member(step, "pattern"), "Regex");
    const auto split = text::known_pattern(json_.text(regex));
    if (!split) {
      json_.fail(regex,
                 "this pattern is not known here; known are those of GPT-2, Llama 3 and Qwen2");
    }
    const Field behavior = json_.member(step, "behavior");
    if (json_.text(behavior) != "Isolated" || json_.flag(step, "invert", false)) {
      json_.fail(behavior, "a pattern is known here where it is Isolated and not inverted");
    }
    splitters.push_back(split.value_or(text::PatternSplit::gpt2()));
  }

  std::string mark(const Field& step) {
    const std::string mark = json_.text(step, "replacement", "\u2581");
    if (mark.empty()) {
      json_.fail(json_.member(step, "replacement"), "expected a character, found nothing");
    }
    return mark;
  }
  /// "always", "first" or "never"; older files say whether alone.
  std::string prepend_scheme(const Field& step) {
    const bool whether = json_.flag(step, "add_prefix_space", true);
    const std::string scheme = json_.text(step, "prepend_scheme", whether ? "always" : "never");
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      json_.fail(json_.member(step, "prepend_scheme"),
                 "expected always, first or never, found " + data::in_quotes(scheme));
    }
    return scheme;
  }

  void read_joiner(const Field& step, const std::string& type) {
    if (type == "WordPiece") {
      joiners.push_back(text::JoinWordPieces{.continuing_prefix = json_.text(step, "prefix", "##"),
                                             .cleanup = json_.flag(step, "cleanup", true)});
    } else if (type == "ByteLevel") {
      joiners.push_back(text::JoinBytes{});
    } else if (type == "Metaspace") {
      joiners.push_back(
          text::JoinMetaspace{.mark = mark(step), .drops_first = prepend_scheme(step) != "never"});
    } else if (type == "Replace") {
      const auto [from, runs] = read_pattern_text(step);
      if (runs) {
        json_.fail(json_.member(step, "pattern"), "expected a String");
      }
      joiners.push_back(text::JoinReplaced{from, short_text(json_.member(step, "content"))});
    } else if (type == "ByteFallback") {
      joiners.push_back(text::JoinByteTokens{});
    } else if (type == "Fuse") {
      joiners.push_back(text::JoinAll{});
    } else if (type == "Strip") {
      const std::string character = json_.text(json_.member(step, "content"));
      if (character.empty()) {
        json_.fail(json_.member(step, "content"), "expected a character, found nothing");
      }
      const auto count = [&](std::string_view key) {
        return static_cast<std::size_t>(json_.integer(step, key, 0, 0, INT32_MAX));
      };
      joiners.push_back(text::JoinStripped{
          .character = character, .left = count("start"), .right = count("stop")});
    } else {
      unknown(step, type, "WordPiece, ByteLevel, Metaspace, Replace, ByteFallback, Fuse and Strip");
    }
  }

  JsonFields& json_;
};

}  // namespace simgr::SIMGR_ABI::io::detail
