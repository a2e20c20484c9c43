// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/sentence_encoder.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/golden.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/core/rng.hpp>
#include <simgr/cpu/thread_pool.hpp>
#include <simgr/io/safetensors_writer.hpp>

namespace {

using namespace simgr;
using io::SentenceEncoder;

constexpr const char* small_config =
    R"({"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
        "max_position_embeddings": 12, "type_vocab_size": 2, "vocab_size": 9,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12})";
constexpr const char* small_tokenizer =
    R"({"version": "1.0", "truncation": {"max_length": 9, "strategy": "LongestFirst", "stride": 0,
        "direction": "Right"}, "padding": null,
        "added_tokens": [
          {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true},
          {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true},
          {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true}],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
          "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
          "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                     {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
          "pair": [],
          "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                             "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
          "max_input_chars_per_word": 100,
          "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "tea": 4, "cup": 5, "##s": 6,
                    "red": 7, "green": 8}}})";

/// A small BERT as it would be published, with random weights.
struct PublishedBert {
  simgr_test::TemporaryFolder folder;
  Rng rng{5, 9};
  io::TensorList tensors;

  PublishedBert() {
    text("config.json", small_config);
    text("tokenizer.json", small_tokenizer);
    add("embeddings.word_embeddings.weight", {9, 32});
    add("embeddings.position_embeddings.weight", {12, 32});
    add("embeddings.token_type_embeddings.weight", {2, 32});
    add("embeddings.LayerNorm.weight", {32});
    add("embeddings.LayerNorm.bias", {32});
    for (const std::string block : {"encoder.layer.0.", "encoder.layer.1."}) {
      for (const char* part : {"attention.self.query", "attention.self.key", "attention.self.value",
                               "attention.output.dense"}) {
        map(block + part, 32, 32);
      }
      map(block + "intermediate.dense", 48, 32);
      map(block + "output.dense", 32, 48);
      for (const char* norm : {"attention.output.LayerNorm", "output.LayerNorm"}) {
        add(block + norm + ".weight", {32});
        add(block + norm + ".bias", {32});
      }
    }
    map("pooler.dense", 32, 32);
    io::write_safetensors(folder.file("model.safetensors"), tensors);
  }
  void text(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(folder.file(name)).parent_path());
    std::ofstream(folder.file(name)) << content;
  }
  void map(const std::string& name, Index out, Index in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  void add(const std::string& name, std::vector<Index> shape) {
    Index size = 1;
    for (const Index extent : shape) { size *= extent; }
    std::vector<float> values(static_cast<std::size_t>(size));
    for (float& value : values) { value = static_cast<float>(0.3 * rng.normal()); }
    tensors.add_copy(name, std::move(shape), std::span<const float>(values));
  }
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
  const PublishedBert bert;
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
  const PublishedBert bert;
  const SentenceEncoder encoder = bert.open();
  std::vector<SentenceEncoder::Tokens> texts;
  Rng rng(1, 2);
  for (std::size_t i = 0; i < 150; ++i) {
    SentenceEncoder::Tokens tokens(2 + rng.below(8));
    for (auto& token : tokens) { token = static_cast<std::int32_t>(rng.below(9)); }
    texts.push_back(tokens);
  }
  const std::vector<float> all = vectors_of(encoder, texts);
  CHECK(vectors_of(encoder, texts, 3) == all);
  for (const std::size_t i : {0, 1, 77, 149}) {
    const std::vector<float> alone = vectors_of(encoder, {texts[i]});
    CHECK(largest_gap(alone, std::span<const float>(all).subspan(i * 32, 32)) < 1e-5);
    double squares = 0;
    for (const float value : alone) { squares += static_cast<double>(value * value); }
    CHECK(squares == doctest::Approx(1).epsilon(1e-6));
  }
}

TEST_CASE("SentenceEncoder: pooling is what the folder says unless it is told") {
  PublishedBert bert;
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
    PublishedBert bert;
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
    CHECK(says(PublishedBert().refused({.longest = 13}), "expected texts of at most 12 tokens"));
  }
  SUBCASE("more tokens than rows") {
    PublishedBert bert;
    std::string config = small_config;
    config.replace(config.find("\"vocab_size\": 9"), 15, "\"vocab_size\": 8");
    bert.text("config.json", config);
    CHECK(says(bert.refused(), "tokenizer.json has ids up to 8, config.json a vocabulary of 8"));
  }
  SUBCASE("an activation that it was not trained with") {
    PublishedBert bert;
    std::string config = small_config;
    config.replace(config.find("\"gelu\""), 6, "\"relu\"");
    bert.text("config.json", config);
    CHECK(says(bert.refused(), "expected a model of the family bert with the activation gelu_erf"));
  }
  SUBCASE("a file that is not there") {
    for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
      PublishedBert bert;
      std::filesystem::remove(bert.folder.file(name));
      CHECK(says(bert.refused(), name));
    }
  }
  SUBCASE("a text without tokens") {
    const PublishedBert bert;
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
