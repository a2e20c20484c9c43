// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/sentence_encoder.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/golden.hpp>
#include <support/published_bert.hpp>

#include <simgr/core/rng.hpp>
#include <simgr/cpu/thread_pool.hpp>

namespace {

using namespace simgr;
using io::SentenceEncoder;

struct SmallBert : simgr_test::PublishedBert {
  SentenceEncoder open(const io::SentenceEncoderOptions& options = {}) const {
    return SentenceEncoder::open(folder.path().string(), options);
  }
  std::string refused(const io::SentenceEncoderOptions& options = {}) const {
    const auto encoder = SentenceEncoder::try_open(folder.path().string(), options);
    REQUIRE(!encoder);
    return encoder.error().what();
  }
};

std::vector<float> vectors_of(const SentenceEncoder& encoder,
                              const std::vector<SentenceEncoder::Tokens>& texts,
                              Index threads = 1) {
  cpu::ThreadPool pool(threads);
  std::vector<float> vectors(texts.size() * static_cast<std::size_t>(encoder.width()));
  encoder.encode_all(
      texts, Matrix<float>(vectors.data(), {static_cast<Index>(texts.size()), encoder.width()}),
      pool);
  return vectors;
}

double largest_gap(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double gap = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    worst = gap <= worst ? worst : gap;
  }
  return worst;
}

bool says(const std::string& message, const std::string& part) {
  INFO(message);
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("SentenceEncoder: texts become tokens with those that begin and end them, cut") {
  const SmallBert bert;
  const SentenceEncoder encoder = bert.open();
  CHECK(encoder.width() == 32);
  CHECK(encoder.longest() == 9);  // of tokenizer.json
  CHECK(encoder.tokens("Red cups") == SentenceEncoder::Tokens{2, 7, 5, 6, 3});
  CHECK(encoder.tokens("") == SentenceEncoder::Tokens{2, 3});
  CHECK(encoder.tokens("tea tea tea tea tea tea tea tea tea") ==
        SentenceEncoder::Tokens{2, 4, 4, 4, 4, 4, 4, 4, 3});
  CHECK(bert.open({.longest = 3}).tokens("green tea") == SentenceEncoder::Tokens{2, 8, 3});
}

TEST_CASE("SentenceEncoder: a vector is the same in any batch, order and number of threads") {
  const SmallBert bert;
  const SentenceEncoder encoder = bert.open();
  std::vector<SentenceEncoder::Tokens> texts;
  Rng rng(1, 2);
  for (std::size_t i = 0; i < 150; ++i) {
    SentenceEncoder::Tokens tokens(static_cast<std::size_t>(2 + rng.below(8)));
    for (auto& token : tokens) { token = static_cast<std::int32_t>(rng.below(9)); }
    texts.push_back(tokens);
  }
  const std::vector<float> all = vectors_of(encoder, texts);
  CHECK(vectors_of(encoder, texts, 3) == all);
  for (const std::size_t i : {0u, 1u, 77u, 149u}) {
    const std::vector<float> alone = vectors_of(encoder, {texts[i]});
    CHECK(largest_gap(alone, std::span<const float>(all).subspan(i * 32, 32)) < 1e-5);
    double squares = 0;
    for (const float value : alone) { squares += static_cast<double>(value * value); }
    CHECK(squares == doctest::Approx(1).epsilon(1e-6));
  }
}

TEST_CASE("SentenceEncoder: pooling is what the folder says unless it is told") {
  SmallBert bert;
  const std::vector<SentenceEncoder::Tokens> texts{{2, 4, 5, 3}};
  const auto of = [&](const io::SentenceEncoderOptions& options) {
    return vectors_of(bert.open(options), texts);
  };
  const std::vector<float> mean = of({}), first = of({.pooling = Pooling::first});
  CHECK(mean == of({.pooling = Pooling::mean}));
  CHECK(largest_gap(mean, first) > 1e-3);
  bert.text("1_Pooling/config.json",
            R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  CHECK(of({}) == first);
  CHECK(of({.pooling = Pooling::mean}) == mean);
  CHECK(largest_gap(of({.normalised = false}), first) > 1e-3);
}

TEST_CASE("SentenceEncoder: what is wrong with a folder is said") {
  SUBCASE("a pooling that is none of ours") {
    SmallBert bert;
    for (const char* modes :
         {R"({"pooling_mode_max_tokens": true})", "{}", "[]",
          R"({"pooling_mode_cls_token": true, "pooling_mode_lasttoken": true})"}) {
      bert.text("1_Pooling/config.json", modes);
      CHECK(
          says(bert.refused(), "1_Pooling/config.json: expected one of pooling_mode_mean_tokens"));
    }
    bert.text("1_Pooling/config.json", "{");
    CHECK(says(bert.refused(), "1_Pooling/config.json"));
  }
  SUBCASE("more tokens than positions") {
    CHECK(says(SmallBert().refused({.longest = 13}), "expected texts of at most 12 tokens"));
  }
  SUBCASE("more tokens than rows") {
    SmallBert bert;
    std::string config = simgr_test::small_bert_config;
    config.replace(config.find("\"vocab_size\": 9"), 15, "\"vocab_size\": 8");
    bert.text("config.json", config);
    CHECK(says(bert.refused(), "tokenizer.json has ids up to 8, config.json a vocabulary of 8"));
  }
  SUBCASE("an activation that it was not trained with") {
    SmallBert bert;
    std::string config = simgr_test::small_bert_config;
    config.replace(config.find("\"gelu\""), 6, "\"relu\"");
    bert.text("config.json", config);
    CHECK(says(bert.refused(), "expected a model of the family bert with the activation gelu_erf"));
  }
  SUBCASE("a file that is not there") {
    for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
      SmallBert bert;
      std::filesystem::remove(bert.folder.file(name));
      CHECK(says(bert.refused(), name));
    }
  }
  SUBCASE("a text without tokens") {
    const SmallBert bert;
    CHECK_THROWS_WITH_AS(vectors_of(bert.open(), {{2, 3}, {}}), "text 1 has no token", DataError);
  }
}

TEST_SUITE("golden") {
  // SIMGR_MINILM is the folder of all-MiniLM-L6-v2, for instance that of bench/peers/embed_minilm.py.
  TEST_CASE("SentenceEncoder reproduces all-MiniLM-L6-v2") {
    const auto shared = simgr_test::shared_folder();
    const char* const folder = std::getenv("SIMGR_MINILM");
    if (!shared || folder == nullptr) {
      MESSAGE("left out: SIMGR_MINILM or SIMGR_SHARED is not set");
      return;
    }
    const SentenceEncoder encoder = SentenceEncoder::open(folder, {.longest = 256});
    const SentenceEncoder plain =
        SentenceEncoder::open(folder, {.normalised = false, .longest = 256});
    std::ifstream file(*shared / "golden/minilm/texts.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const data::JsonValue json = data::parse_json(text, {.file = "texts.json"});
    const data::JsonValue* const cases = json.find("cases") != nullptr ? json.find("cases") : &json;
    REQUIRE(cases->as_array() != nullptr);
    std::vector<SentenceEncoder::Tokens> texts;
    for (const data::JsonValue& one : *cases->as_array()) {
      texts.push_back(encoder.tokens(*one.find("text")->as_text()));
      SentenceEncoder::Tokens stored;
      for (const data::JsonValue& id : *one.find("ids")->as_array()) {
        stored.push_back(static_cast<std::int32_t>(*id.as_number()));
      }
      CHECK(texts.back() == stored);
    }
    simgr_test::GoldenCase outputs("minilm/outputs", *shared / "golden/minilm/outputs.safetensors");
    outputs.check("embedding", vectors_of(encoder, texts), 1.5e-6);
    outputs.check("mean_pooled", vectors_of(plain, texts), 4e-6);
  }
}
