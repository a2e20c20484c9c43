// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/bert_text.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

std::string bert_text(std::string_view text, const BertNormalizer& bert = {}) {
  AlignedCharacters characters = characters_of(text);
  bert(characters);
  return encoded(characters).text;
}

std::vector<std::string> bert_words(std::string_view text) {
  PreTokens tokens;
  tokens.text.text = text;
  tokens.words = {{0, static_cast<std::uint32_t>(text.size())}};
  BertSplit{}(tokens);
  std::vector<std::string> words;
  for (const PreTokens::Word word : tokens.words) { words.emplace_back(tokens.view(word)); }
  return words;
}

}  // namespace

TEST_CASE("BERT's normalisation, step by step and together") {
  const BertNormalizer nothing{false, false, false, false};
  CHECK(bert_text("É\t中\u200B", nothing) == "É\t中\u200B");
  CHECK(bert_text("a\tb\u00A0c\u200Bd\x01\u00AD\xFF", {true, false, false, false}) == "a b cd");
  CHECK(bert_text("a中文b", {false, true, false, false}) == "a 中  文 b");
  CHECK(bert_text("Éa\u0301\u0327", {false, false, true, false}) == "Ea");
  CHECK(bert_text("ÉΩЖİẞ", {false, false, false, true}) == "éωжi\u0307ß");
  CHECK(bert_text("İstanbul Ångström") == "istanbul angstrom");
}

TEST_CASE("BERT's words and marks") {
  using Words = std::vector<std::string>;
  CHECK(bert_words("don't  stop") == Words{"don", "'", "t", "stop"});
  CHECK(bert_words("a+b=$c") == Words{"a", "+", "b", "=", "$", "c"});
  CHECK(bert_words("«x»—y。") == Words{"«", "x", "»", "—", "y", "。"});
  CHECK(bert_words("1€") == Words{"1€"});  // a symbol, not punctuation
  CHECK(bert_words(" \t ") == Words{});
}
