// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/text_tokenizer.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/error.hpp>

using namespace simgr::text;

namespace {

using Ids = std::vector<TokenId>;

TextTokenizer small_bert() {
  std::vector<std::string> tokens = {"[UNK]", "[CLS]", "[SEP]", "cafe", "##s", "!", "the"};
  WordPiece model({}, tokens);
  return TextTokenizer({.normalizers = {BertNormalizer{}},
                        .splitters = {BertSplit{}},
                        .model = std::move(model),
                        .joiners = {JoinWordPieces{}},
                        .vocabulary = std::move(tokens),
                        .added = {{.content = "[CLS]", .id = 1, .special = true},
                                  {.content = "[SEP]", .id = 2, .special = true}},
                        .before = {1},
                        .behind = {2},
                        .longest = 7});
}

}  // namespace

TEST_CASE("ids, and the bytes of the text that they stand for") {
  const TextTokenizer tokenizer = small_bert();
  const TextTokens tokens = tokenizer.encode("The  Cafés!", {.special_tokens = true});
  CHECK(tokens.ids == Ids{1, 6, 3, 4, 5, 2});
  CHECK(tokens.sources ==
        std::vector<TextSpan>{{0, 0}, {0, 3}, {5, 10}, {10, 11}, {11, 12}, {0, 0}});
  CHECK(tokenizer.encode("").ids == Ids{});
  CHECK(tokenizer.encode("", {.special_tokens = true}).ids == Ids{1, 2});
  CHECK(tokenizer.encode("[SEP]the[CLS]").ids == Ids{2, 6, 1});
  CHECK(tokenizer.encode("\xFFthe\xC3").ids == Ids{6});  // BERT drops U+FFFD
}

TEST_CASE("truncation keeps the template, and is the caller's") {
  const TextTokenizer tokenizer = small_bert();
  CHECK(tokenizer.longest() == 7);
  CHECK(tokenizer.encode("the the the", {.longest = 2}).ids == Ids{6, 6});
  CHECK(tokenizer.encode("the the the", {.special_tokens = true, .longest = 4}).ids ==
        Ids{1, 6, 6, 2});
  CHECK(tokenizer.encode("the the the the the the the the the").ids.size() == 9);
}

TEST_CASE("decoding, with and without special tokens") {
  const TextTokenizer tokenizer = small_bert();
  CHECK(tokenizer.decode(Ids{1, 6, 3, 4, 5, 2}) == "[CLS] the cafes! [SEP]");
  CHECK(tokenizer.decode(Ids{1, 6, 3, 4, 5, 2}, true) == "the cafes!");
  CHECK(tokenizer.decode(Ids{}) == "");
  CHECK_THROWS_WITH_AS(tokenizer.decode(Ids{7}), "token id 7 is not in the vocabulary of 7",
                       simgr::DataError);
  CHECK_THROWS_AS(tokenizer.decode(Ids{-1}), simgr::DataError);
}

TEST_CASE("tokens are added behind the vocabulary, and those that are known keep their ids") {
  TextTokenizer tokenizer = small_bert();
  CHECK(tokenizer.vocabulary_size() == 7);
  CHECK(tokenizer.add_tokens(std::vector<std::string>{"<a_0>", "the", "<a_1>", "<a_0>"}) ==
        Ids{7, 6, 8, 7});
  CHECK(tokenizer.vocabulary_size() == 9);
  CHECK(tokenizer.encode("the<A_1><a_0>s").ids == Ids{6, 8, 7, 0});
  CHECK(tokenizer.token(8) == "<a_1>");
  CHECK(tokenizer.id("<a_1>") == 8);
  CHECK(tokenizer.id("<a_2>") == -1);
  CHECK(tokenizer.id("") == -1);
  CHECK(!tokenizer.is_special(8));
  CHECK(tokenizer.is_special(1));
  CHECK(tokenizer.add_tokens(std::vector<std::string>{"<a_1>"}) == Ids{8});
  CHECK(tokenizer.add_tokens(std::vector<std::string>{"<a_2>"}) == Ids{9});
  CHECK(tokenizer.encode("<a_2>").sources == std::vector<TextSpan>{{0, 5}});
  CHECK_THROWS_AS(tokenizer.add_tokens(std::vector<std::string>{""}), simgr::ConfigError);
}

TEST_CASE("what begins a character and is cut is one replacement, as The Unicode Standard says") {
  CHECK(repaired_utf8("a\xE4\xB8") == "a\uFFFD");
  CHECK(repaired_utf8("\xE4\xB8z") == "\uFFFDz");
  CHECK(repaired_utf8("\xF1\x80\x80\xE1\x80\xC2") == "\uFFFD\uFFFD\uFFFD");
  CHECK(repaired_utf8("\x80\x80") == "\uFFFD\uFFFD");
  CHECK(repaired_utf8("\xE0\x80") == "\uFFFD\uFFFD");
  CHECK(repaired_utf8("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");
  CHECK(repaired_utf8("\xF4\x90") == "\uFFFD\uFFFD");
  CHECK(repaired_utf8("né 中 😀") == "né 中 😀");
}
