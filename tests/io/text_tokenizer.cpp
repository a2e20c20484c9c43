// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/text_tokenizer.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/error.hpp>

namespace {

using simgr::text::TextTokenizer;
using simgr::text::TokenId;

/// A small document, which fuzzing starts from too.
std::string small_document(const char* name) {
  const std::string folder = SIMGR_SOURCE_DIR "/tests/fuzz/text_tokenizer/";
  return simgr::data::try_read_bytes(folder + name + ".json").value_or_raise();
}
const std::string small_bpe = small_document("bpe"),
                  small_word_piece = small_document("word_piece"),
                  small_unigram = small_document("unigram"),
                  small_llama2 = small_document("byte_fallback");

std::string with_change(std::string_view document, std::string_view from, std::string_view to) {
  std::string changed(document);
  const std::size_t at = changed.find(from);
  REQUIRE(at != std::string::npos);
  return changed.replace(at, from.size(), to);
}

/// The message without the file and the byte, or nothing if the document was read.
std::string what_is_wrong(const std::string& document) {
  const auto tokenizer = simgr::io::try_parse_text_tokenizer(document, "t.json");
  if (tokenizer) {
    return {};
  }
  CHECK(tokenizer.error().kind() == simgr::ErrorKind::data);
  const std::string message = tokenizer.error().what();
  CHECK(message.starts_with("t.json"));
  const std::size_t at = message.find(": ");
  return message.substr(at + 2);
}

}  // namespace

TEST_CASE("small tokenizers are read whole") {
  const TextTokenizer bpe = simgr::io::try_parse_text_tokenizer(small_bpe).value_or_raise();
  CHECK(bpe.encode("ab abc", {.special_tokens = true}).ids == std::vector<TokenId>{6, 4, 4, 5});
  CHECK(bpe.encode("ab<s>ab").ids == std::vector<TokenId>{4, 6, 4});
  CHECK(bpe.decode(std::vector<TokenId>{6, 4, 4, 5}, true) == " ab abc");
  CHECK(bpe.vocabulary_size() == 7);
  CHECK(bpe.token(4) == "Ġab");

  const TextTokenizer pieces =
      simgr::io::try_parse_text_tokenizer(small_word_piece).value_or_raise();
  CHECK(pieces.encode("X y", {.special_tokens = true}).ids == std::vector<TokenId>{1, 3, 0, 2});
}

TEST_CASE("models of SentencePiece's kinds are read whole") {
  using Ids = std::vector<TokenId>;
  const TextTokenizer unigram = simgr::io::try_parse_text_tokenizer(small_unigram).value_or_raise();
  const auto tokens = unigram.encode("the  cats ünd", {.special_tokens = true});
  CHECK(tokens.ids == Ids{3, 4, 5, 2, 1, 0});
  CHECK(tokens.sources[2] == simgr::text::TextSpan{8, 9});
  CHECK(tokens.sources[4] == simgr::text::TextSpan{10, 14});
  CHECK(unigram.decode(tokens.ids, true) == "the cats <unk>");

  const TextTokenizer llama = simgr::io::try_parse_text_tokenizer(small_llama2).value_or_raise();
  CHECK(llama.encode("ab ab é中").ids == Ids{7, 7, 3, 1, 2, 0});
  CHECK(llama.decode(Ids{7, 7, 3, 1, 2}) == "ab ab é");
  CHECK(llama.decode(Ids{1, 4, 8}) == "\uFFFDa<0x-1>");
}

TEST_CASE("what is wrong with a tokenizer.json is said with file, byte and field") {
  CHECK(what_is_wrong("") != "");
  CHECK(what_is_wrong("[]").starts_with("expected an object, found array"));
  CHECK(what_is_wrong("{}") == "model: expected an object, found nothing");
  CHECK(what_is_wrong(std::string(100, '[')).starts_with("nested deeper than 64 levels"));
  const auto bpe = [](std::string_view from, std::string_view to) {
    return what_is_wrong(with_change(small_bpe, from, to));
  };
  CHECK(bpe(R"("type": "BPE")", R"("type": "Other")") ==
        "model: the type \"Other\" is not known here; known are WordPiece, BPE and Unigram");
  CHECK(
      bpe(R"("type": "NFC")", R"("type": "Other")").starts_with("normalizer: the type \"Other\""));
  CHECK(bpe(R"("type": "NFC")", R"("kind": "NFC")") ==
        "normalizer.type: expected text, found nothing");
  CHECK(bpe(R"("a": 0)", R"("a": "0")") == "model.vocab[\"a\"]: expected an integer, found text");
  CHECK(bpe(R"("a": 0)", R"("a": -1)") == "model.vocab[\"a\"]: expected 0 to 1047, found -1");
  CHECK(bpe(R"("a": 0)", R"("a": 2147483647)").ends_with("found 2147483647"));
  CHECK(bpe(R"("a": 0)", R"("a": 99999999999999999999)").starts_with("an integer does not fit"));
  CHECK(bpe(R"("a": 0)", R"("a": 1)") == "model.vocab[\"b\"]: the id 1 is also that of \"a\"");
  CHECK(bpe(R"("b": 1)", R"("a": 1)").starts_with("the key \"a\" stands twice"));
  CHECK(bpe(R"("a b")", R"("a d")") == "model.merges[0]: the token \"d\" is not in model.vocab");
  CHECK(bpe(R"("a b")", R"("a c")") == "model.merges[0]: the token \"ac\" is not in model.vocab");
  CHECK(bpe(R"("a b")", R"("ab")").starts_with("model.merges[0]: expected two tokens"));
  CHECK(bpe(R"("a b")", R"(" ab")").starts_with("model.merges[0]: expected two tokens"));
  CHECK(bpe(R"(["Ġ", "ab"])", R"(["Ġ"])").starts_with("model.merges[1]: expected two tokens"));
  CHECK(bpe(R"(["Ġ", "ab"])", R"(["Ġ", 7])").starts_with("model.merges[1]: expected two tokens"));
  CHECK(bpe(R"(["Ġ", "ab"])", "7").starts_with("model.merges[1]: expected two tokens"));
  CHECK(bpe(R"("merges")", R"("merged")") ==
        "model.merges: expected a list of pairs of tokens, found nothing");
  CHECK(bpe(R"("id": 6)", R"("id": 5)") ==
        "added_tokens[0].id: the id 5 is that of \"c\" in the vocabulary");
  CHECK(bpe(R"("id": 6)", R"("id": 70000)").starts_with("added_tokens[0].id: expected 0 to"));
  CHECK(bpe(R"("content": "<s>")", R"("content": "")")
            .starts_with("added_tokens[0].content: expected 1 to 4096 bytes"));
  CHECK(bpe(R"("content": "<s>")", R"("content": "a")") ==
        "added_tokens[0].id: the vocabulary gives \"a\" the id 0, not 6");
  CHECK(bpe(R"("added_tokens": [)", R"("added_tokens": [{"id": 6, "content": "<t>"}, )") ==
        "added_tokens[1].id: two added tokens have the id 6");
  CHECK(bpe(R"("added_tokens": [)", R"("added_tokens": [{"id": 7, "content": "<s>"}, )") ==
        "added_tokens: two added tokens have the same content");
  CHECK(bpe(R"("ids": [6])", R"("ids": [7])") ==
        "post_processor.special_tokens.<s>.ids[0]: expected 0 to 6, found 7");
  CHECK(bpe(R"("special_tokens": {"<s>")", R"("special_tokens": {"<t>")")
            .starts_with("post_processor.special_tokens.<s>: expected an object"));
  CHECK(bpe(R"("unk_token": null)", R"("unk_token": "<u>")") ==
        "model.unk_token: the token \"<u>\" is not in the vocabulary");
  CHECK(bpe(R"({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true})",
            R"({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"})")
            .starts_with("pre_tokenizer.pattern.Regex: this pattern is not known here"));
  CHECK(bpe(R"("truncation": null)", R"("truncation": {"max_length": 0})") ==
        "truncation.max_length: expected 1 to 2147483647, found 0");
  const auto pieces = [](std::string_view from, std::string_view to) {
    return what_is_wrong(with_change(small_word_piece, from, to));
  };
  CHECK(pieces(R"("[UNK]": 0)", R"("[unk]": 0)") ==
        "model.unk_token: the token \"[UNK]\" is not in the vocabulary");
  CHECK(pieces(R"(["[SEP]", 2])", R"(["[SEP]", 9])") ==
        "post_processor.sep[1]: expected 0 to 3, found 9");
  const auto unigram = [](std::string_view from, std::string_view to) {
    return what_is_wrong(with_change(small_unigram, from, to));
  };
  CHECK(unigram(R"("unk_id": 1)", R"("unk_id": 10)") == "model.unk_id: expected 0 to 9, found 10");
  CHECK(unigram(R"("unk_id": 1)", R"("unk_id": null)") ==
        "model.unk_id: expected an integer, found nothing");
  CHECK(unigram(R"(["s", -3.5])", R"(["a", -3.5])") ==
        "model.vocab[6]: the piece \"a\" is empty or stands twice");
  CHECK(unigram(R"(["s", -3.5])", R"(["s"])") ==
        "model.vocab[5]: expected a piece and its score, found array");
  CHECK(unigram(R"(["s", -3.5])", R"(["s", "1"])") ==
        "model.vocab[5][1]: expected a number, found text");
  CHECK(unigram(R"("type": "Unigram")", R"("type": "BPE")") ==
        "model.vocab: expected an object of tokens and ids, found a list");
  CHECK(unigram("AAAAAA==", "AAAAAA=") ==
        "normalizer.normalizers[0].precompiled_charsmap: not base64");
  CHECK(unigram("AAAAAA==", "CAAAAAAA") ==
        "normalizer.normalizers[0].precompiled_charsmap: the sizes of the table disagree");
  CHECK(unigram(R"(" {2,}")", R"("(x+x+)+y")")
            .starts_with("normalizer.normalizers[1].pattern.Regex: known here is"));
  CHECK(unigram(R"("replacement": "▁")", R"("replacement": "")")
            .starts_with("pre_tokenizer.pretokenizers[1].replacement: expected a character"));
  CHECK(what_is_wrong(with_change(small_llama2, R"("content": "▁")",
                                  "\"content\": \"" + std::string(65, 'x') + "\"")) ==
        "normalizer.normalizers[1].content: expected at most 64 bytes, found 65");
  CHECK(what_is_wrong(
            with_change(small_unigram, R"("model": {"type": "Unigram", "unk_id": 1, "vocab": [)",
                        R"("model": {"type": "Unigram", "unk_id": 1, "vocab": {}, "x": [)")) ==
        "model.vocab: expected a list of pieces and scores, found object");
}

TEST_CASE("normalisers that let a text grow without bound are stopped") {
  std::string document(small_llama2);
  std::string steps;
  for (int i = 0; i < 12; ++i) {
    steps += R"({"type": "Replace", "pattern": {"String": "a"}, "content": ")" +
             std::string(64, 'a') + "\"},";
  }
  const TextTokenizer tokenizer =
      simgr::io::try_parse_text_tokenizer(
          with_change(document, R"({"type": "Prepend")", steps + R"({"type": "Prepend")"))
          .value_or_raise();
  CHECK_THROWS_WITH_AS(
      tokenizer.encode("aaaa"),
      "the normalisers of this tokenizer make 4 bytes of text longer than 16 times "
      "as long",
      simgr::DataError);
}

TEST_CASE("tokens that look like bytes are only what they say") {
  // byte_fallback: "<0x-1>" and "<0x1FF>" are tokens like any other, and no byte.
  const std::string odd = with_change(
      with_change(small_bpe, R"("unk_token": null)", R"("unk_token": "c", "byte_fallback": true)"),
      R"("Ġ": 2,)", R"("Ġ": 2, "<0x-1>": 7, "<0x1FF>": 8, "<0xff>": 9, "<0x>": 10, "<0xZZ>": 11,)");
  const TextTokenizer tokenizer = simgr::io::try_parse_text_tokenizer(odd).value_or_raise();
  CHECK(tokenizer.encode("\xFF").ids ==
        std::vector<TokenId>{2, 5, 5, 5});  // U+FFFD has three bytes
  CHECK(tokenizer.decode(std::vector<TokenId>{7, 8, 9, 10, 11}) == "<0x-1><0x1FF><0xff><0x><0xZZ>");
}

TEST_CASE("every cut of a file is an error, and none crashes") {
  for (const std::string_view document :
       {small_bpe, small_word_piece, small_unigram, small_llama2}) {
    for (std::size_t bytes = 0; bytes < document.rfind('}'); ++bytes) {
      CHECK(!simgr::io::try_parse_text_tokenizer(std::string_view(document).substr(0, bytes)));
    }
  }
}

TEST_CASE("a file that is not there") {
  CHECK_THROWS_AS(simgr::io::read_text_tokenizer("no/such/tokenizer.json"), simgr::IoError);
}
