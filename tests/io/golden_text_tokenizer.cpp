// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>

#include <simgr/io/text_tokenizer.hpp>

namespace {

namespace fs = std::filesystem;
using simgr::data::JsonValue;
using simgr::text::EncodeOptions;
using simgr::text::TextTokenizer;
using simgr::text::TokenId;

std::vector<TokenId> golden_ids(const JsonValue& list) {
  std::vector<TokenId> ids;
  for (const JsonValue& id : *list.as_array()) {
    ids.push_back(static_cast<TokenId>(id.as_integer().value()));
  }
  return ids;
}

JsonValue golden_document(const fs::path& file) {
  return simgr::data::parse_json(simgr::data::try_read_bytes(file.string()).value_or_raise(),
                                 {.file = file.string()});
}

/// Where the tokenizer of a golden file is: beside it, or where its README says.
fs::path golden_tokenizer(const fs::path& shared, const std::string& name) {
  const fs::path beside = shared / "golden/tokenizers" / (name + ".tokenizer.json.gz");
  return name == "wordpiece"  ? shared / "golden/minilm/tokenizer.json"
         : name == "tiny_bpe" ? shared / "data/fixtures/tokenizer-tiny-bpe/tiny_bpe_tokenizer.json"
                              : beside;
}

/// Ids, ids of the template and text of every case; how many cases there were.
int check_golden_cases(const TextTokenizer& tokenizer, const JsonValue& cases) {
  int count = 0;
  for (const JsonValue& one : *cases.as_array()) {
    const std::string& text = *one.find("text")->as_text();
    INFO("text: ", text);
    const auto tokens = tokenizer.encode(text);
    CHECK(tokens.ids == golden_ids(*one.find("ids")));
    if (const JsonValue* special = one.find("ids_with_special")) {
      CHECK(tokenizer.encode(text, {.special_tokens = true}).ids == golden_ids(*special));
    }
    CHECK(tokenizer.decode(tokens.ids) == *one.find("decoded")->as_text());
    REQUIRE(tokens.sources.size() == tokens.ids.size());
    for (const auto& source : tokens.sources) {
      CHECK(source.begin < source.end);
      CHECK(source.end <= text.size());
    }
    ++count;
  }
  return count;
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("text tokenizers give the ids and texts of the reference") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const JsonValue tiny = golden_document(*shared / "golden/tokenizers/tiny_bpe.json");
    std::vector<std::string> semantic_ids;
    for (const JsonValue& token : *tiny.find("added_tokens")->find("order")->as_array()) {
      semantic_ids.push_back(*token.as_text());
    }
    int strings = 0;
    for (const auto& entry : fs::directory_iterator(*shared / "golden/tokenizers")) {
      const std::string name = entry.path().stem().string();
      if (entry.path().extension() != ".json" || name.ends_with(".tokenizer")) {
        continue;
      }
      INFO("tokenizer: ", name);
      const JsonValue golden = golden_document(entry.path());
      const fs::path file = golden_tokenizer(*shared, name);
      TextTokenizer tokenizer = simgr::io::read_text_tokenizer(file.string());
      CHECK(tokenizer.vocabulary_size() ==
            golden.find("vocabulary_with_special")->as_integer().value());
      strings += check_golden_cases(tokenizer, *golden.find("cases"));

      const JsonValue& added = *golden.find("added_tokens");
      const auto new_ids = tokenizer.add_tokens(semantic_ids);
      CHECK(static_cast<std::int64_t>(new_ids.size()) == added.find("count")->as_integer().value());
      CHECK(new_ids.front() == added.find("first_id")->as_integer().value());
      CHECK(new_ids.back() == new_ids.front() + static_cast<TokenId>(new_ids.size()) - 1);
      strings += check_golden_cases(tokenizer, *added.find("cases"));
    }
    std::printf("text tokenizers: %d golden strings\n", strings);
    CHECK(strings > 0);
  }

  TEST_CASE("MiniLM's texts have the reference's ids, cut at 256 tokens") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const TextTokenizer tokenizer =
        simgr::io::read_text_tokenizer((*shared / "golden/minilm/tokenizer.json").string());
    CHECK(tokenizer.longest() == 128);
    const JsonValue golden = golden_document(*shared / "golden/minilm/texts.json");
    const JsonValue* texts = golden.as_array() != nullptr ? &golden : golden.find("texts");
    REQUIRE(texts != nullptr);
    std::size_t longest = 0;
    for (const JsonValue& one : *texts->as_array()) {
      const auto tokens =
          tokenizer.encode(*one.find("text")->as_text(), {.special_tokens = true, .longest = 256});
      CHECK(tokens.ids == golden_ids(*one.find("ids")));
      longest = std::max(longest, tokens.ids.size());
    }
    CHECK(longest == 256);
  }
}
