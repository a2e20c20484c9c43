// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <numeric>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <support/processor_time.hpp>
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

/// The strings of a `.inp` file, one line between them, and the ids of each in the `.out` beside it.
std::vector<std::pair<std::string, std::vector<TokenId>>> fixture_strings(const fs::path& folder,
                                                                          const std::string& name) {
  const auto bytes = [&](const char* ending) {
    return simgr::data::try_read_bytes((folder / (name + ending)).string()).value_or_raise();
  };
  const std::string texts = bytes(".inp"), lines = bytes(".out");
  const std::string between = "\n__ggml_vocab_test__\n";
  std::vector<std::pair<std::string, std::vector<TokenId>>> cases;
  std::istringstream ids(lines);
  std::string line;
  for (std::size_t at = 0; std::getline(ids, line);) {
    const std::size_t end = texts.find(between, at);
    std::istringstream numbers(line);
    cases.emplace_back(texts.substr(at, end - at), std::vector<TokenId>{});
    for (TokenId id; numbers >> id;) { cases.back().second.push_back(id); }
    at = end + between.size();
  }
  return cases;
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

  TEST_CASE("the strings of llama.cpp's fixtures") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    for (const auto& [name, file] : {std::pair("gpt2", "tokenizer-gpt2/ggml-vocab-gpt-2.gguf"),
                                     std::pair("qwen2", "tokenizer-qwen2/ggml-vocab-qwen2.gguf")}) {
      const TextTokenizer tokenizer =
          simgr::io::read_text_tokenizer(golden_tokenizer(*shared, name).string());
      const auto cases = fixture_strings(*shared / "data/fixtures", file);
      CHECK(cases.size() == 46);
      for (const auto& [text, ids] : cases) {
        INFO("text: ", text);
        CHECK(tokenizer.encode(text).ids == ids);
        CHECK(tokenizer.decode(ids) == text);
      }
    }
  }

  // Llama 3's vocabulary is not published freely. What can be seen without it: the ids of a text are
  // those of its words side by side, whatever words stand beside them.
  TEST_CASE("Llama 3's words explain the ids of its fixtures without a contradiction") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const auto pattern = simgr::text::known_pattern(
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
    REQUIRE(pattern);
    const auto cases =
        fixture_strings(*shared / "data/fixtures", "tokenizer-llama3/ggml-vocab-llama-bpe.gguf");
    std::map<std::string, std::vector<TokenId>> known;
    std::size_t explained = 0;
    for (std::size_t before = cases.size() + 1; before != explained;) {  // until nothing is learnt
      before = explained;
      explained = 0;
      for (const auto& [text, all] : cases) {
        simgr::text::PreTokens words;
        words.text.text = text;
        words.words = {{0, static_cast<std::uint32_t>(text.size())}};
        (*pattern)(words);
        // Known words are taken off both ends; one that is left has the ids that are left.
        std::span<const TokenId> ids = all;
        std::span<const simgr::text::PreTokens::Word> left = words.words;
        const auto of = [&](const auto& word) { return known.find(std::string(words.view(word))); };
        while (!left.empty() && of(left.front()) != known.end()) {
          const std::vector<TokenId>& expected = of(left.front())->second;
          REQUIRE(ids.size() >= expected.size());
          CHECK(std::equal(expected.begin(), expected.end(), ids.begin()));
          ids = ids.subspan(expected.size());
          left = left.subspan(1);
        }
        while (!left.empty() && of(left.back()) != known.end()) {
          const std::vector<TokenId>& expected = of(left.back())->second;
          REQUIRE(ids.size() >= expected.size());
          CHECK(std::equal(expected.rbegin(), expected.rend(), ids.rbegin()));
          ids = ids.first(ids.size() - expected.size());
          left = left.first(left.size() - 1);
        }
        INFO("text: ", text);
        CHECK(ids.size() >= left.size());
        const bool one_each = left.size() == ids.size();
        for (std::size_t i = 0; i < left.size() && (one_each || left.size() == 1); ++i) {
          known[std::string(words.view(left[i]))] = {
              ids.begin() + static_cast<simgr::Index>(i),
              one_each ? ids.begin() + static_cast<simgr::Index>(i) + 1 : ids.end()};
        }
        explained += left.size() <= 1 ? 1 : 0;
        CHECK((!left.empty() || ids.empty()));
      }
    }
    std::printf("Llama 3: %zu of %zu fixture strings explained by %zu words\n", explained,
                cases.size(), known.size());
    CHECK(explained >= 38);
  }

  TEST_CASE("small published files are read, and texts come back") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const TextTokenizer sids = simgr::io::read_text_tokenizer(
        (*shared / "golden/tokenizers/tiny_bpe_with_sids.tokenizer.json").string());
    const JsonValue golden = golden_document(*shared / "golden/tokenizers/tiny_bpe.json");
    CHECK(check_golden_cases(sids, *golden.find("added_tokens")->find("cases")) > 0);

    const TextTokenizer titan = simgr::io::read_text_tokenizer(
        (*shared / "data/fixtures/tokenizer-torchtitan/tokenizer.json").string());
    CHECK(titan.vocabulary_size() == 2020);
    const std::string text = "No merges, only bytes: 42!";
    const auto tokens = titan.encode(text);
    CHECK(tokens.ids.size() > 0);
    for (const TokenId id : tokens.ids) {
      CHECK(titan.token(id).size() <= 2);  // one character of the byte alphabet
    }
    CHECK(text.ends_with(titan.decode(tokens.ids).back()));
  }

  TEST_CASE("1 MiB of one character takes less than 0.2 s, and time grows as the text does") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    for (const char* name : {"gpt2", "qwen2", "wordpiece"}) {
      const TextTokenizer tokenizer =
          simgr::io::read_text_tokenizer(golden_tokenizer(*shared, name).string());
      const std::vector<std::string> units = {"a",  " ",      "\n", "1", "!", "'",      "é",
                                              "中", "\u0301", "😀",  "<", "#", "\uAC00", "İ"};
      std::vector<double> small(units.size()), large(units.size());
      double exponent = 0;
      // One MiB either way, in 64 texts or in one, so that both are as long under way and as much disturbed by
      // neighbours on the machine; each keeps its fastest. Work that grows faster than its text does so in every round.
      for (int round = 0; round == 0 || (round < 5 && exponent > 1.1); ++round) {
        for (std::size_t at = 0; at < units.size(); ++at) {
          const auto measure = [&](double& fastest, int texts) {
            const std::size_t bytes = (std::size_t{1} << 20) / static_cast<std::size_t>(texts);
            std::string text;
            while (text.size() < bytes) { text += units[at]; }
            INFO(name, ": ", units[at]);
            const double seconds = simgr_test::processor_seconds([&] {
              for (int one = 0; one < texts; ++one) {
                CHECK(tokenizer.encode(text).ids.size() < bytes * 2);
              }
            });
            fastest = round == 0 ? seconds : std::min(fastest, seconds);
          };
          measure(small[at], 64);
          measure(large[at], 1);
        }
        exponent = 1 + std::log(std::accumulate(large.begin(), large.end(), 0.0) /
                                std::accumulate(small.begin(), small.end(), 0.0)) /
                           std::log(64.0);
      }
      const double slowest = *std::max_element(large.begin(), large.end());
      std::printf("%s: 1 MiB of one character %.0f ms at most, grows with exponent %.2f\n", name,
                  1e3 * slowest, exponent);
      CHECK(slowest < 0.2 * simgr_test::slowness);
      CHECK(exponent <= 1.1);
    }
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
