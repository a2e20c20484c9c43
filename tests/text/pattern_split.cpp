// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/pattern_split.hpp>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

const PatternSplit gpt2 = PatternSplit::gpt2(), qwen2{true, true, 1, true},
                   llama3{true, true, 3, true};

std::vector<std::string> pattern_words(const PatternSplit& split, std::string_view text) {
  PreTokens tokens;
  tokens.text.text = text;
  tokens.words = {{0, static_cast<std::uint32_t>(text.size())}};
  split(tokens);
  std::vector<std::string> words;
  for (const PreTokens::Word word : tokens.words) { words.emplace_back(tokens.view(word)); }
  return words;
}

}  // namespace

TEST_CASE("the published patterns split as their regular expressions do") {
  using Words = std::vector<std::string>;
  CHECK(pattern_words(gpt2, "Hello  world, it's 2024!\n\n x") ==
        Words{"Hello", " ", " world", ",", " it", "'s", " 2024", "!", "\n\n", " x"});
  CHECK(pattern_words(qwen2, "Hello  world, it's 2024!\n\n x") ==
        Words{"Hello", " ", " world", ",", " it", "'s", " ", "2", "0", "2", "4", "!\n\n", " x"});
  CHECK(pattern_words(llama3, "a 12345 1") == Words{"a", " ", "123", "45", " ", "1"});
  CHECK(pattern_words(gpt2, "IT'S 'Sx") == Words{"IT", "'", "S", " '", "Sx"});
  CHECK(pattern_words(qwen2, "IT'S you'LL 'ſ") == Words{"IT", "'S", " you", "'LL", " '", "ſ"});
  CHECK(pattern_words(qwen2, "'ſ'rE'v") == Words{"'ſ", "'rE", "'v"});
  CHECK(pattern_words(qwen2, "(word) \tx") == Words{"(word", ")", " ", "\tx"});
  CHECK(pattern_words(qwen2, " \r\n \n  y") == Words{" \r\n \n", " ", " y"});
  CHECK(pattern_words(gpt2, " \r\n \n  y") == Words{" \r\n \n ", " y"});
  CHECK(pattern_words(gpt2, "x   ") == Words{"x", "   "});
  CHECK(pattern_words(gpt2, "\u00A0\u00A0é½ ²!") == Words{"\u00A0", "\u00A0", "é", "½", " ²", "!"});
  CHECK(pattern_words(qwen2, "\u00A0é a\u0301") == Words{"\u00A0é", " a", "\u0301"});
  CHECK(pattern_words(gpt2, "") == Words{});
}

TEST_CASE("words side by side are the text, whatever its bytes") {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t i = random() % 30; i > 0; --i) {
      constexpr std::string_view pieces[] = {
          "a", "Z",  "1", " ",    "\n",       "\r",     "'",      "s", "l", "\t",
          "é", "中", "!", "\xFF", "\xE4\xB8", "\u00A0", "\u0301", "½", "ſ"};
      text += pieces[random() % std::size(pieces)];
    }
    for (const PatternSplit& split : {gpt2, qwen2, llama3}) {
      std::string joined;
      for (const std::string& word : pattern_words(split, text)) {
        CHECK(!word.empty());
        joined += word;
      }
      CHECK(joined == text);
    }
  }
}

TEST_CASE("patterns are known by their text alone") {
  CHECK(known_pattern(
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"));
  CHECK(!known_pattern(R"(\s+)"));
  CHECK(!known_pattern(""));
}
