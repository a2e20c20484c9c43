// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/sentence_folder.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <support/published_bert.hpp>
#include <support/shared_folder.hpp>

#include <simgr/io/safetensors.hpp>
#include <simgr/io/sentence_encoder.hpp>

namespace {

using namespace simgr;

std::string module_list(const std::string& kinds) {
  std::string text = "[";
  int place = 0;
  for (const char letter : kinds) {
    const std::string path = letter == 'T'   ? ""
                             : letter == 'P' ? "1_Pooling"
                             : letter == 'D' ? "2_Dense"
                                             : "3_Normalize";
    const std::string kind = letter == 'T'   ? "Transformer"
                             : letter == 'P' ? "Pooling"
                             : letter == 'D' ? "Dense"
                             : letter == 'N' ? "Normalize"
                                             : "LSTM";
    text += std::string(place > 0 ? "," : "") + R"({"idx": )" + std::to_string(place) +
            R"(, "name": ")" + std::to_string(place) + R"(", "path": ")" + path +
            R"(", "type": "sentence_transformers.models.)" + kind + "\"}";
    ++place;
  }
  return text + "]";
}

/// A small BERT with a map of its vectors.
struct MappedBert : simgr_test::PublishedBert {
  std::vector<float> weight = numbers(5 * 32), bias = numbers(5);

  std::vector<float> numbers(std::size_t count) {
    std::vector<float> values(count);
    for (float& value : values) { value = static_cast<float>(rng.normal()); }
    return values;
  }
  MappedBert() {
    text("modules.json", module_list("TPDN"));
    text("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
    text("2_Dense/config.json", R"({"in_features": 32, "out_features": 5, "bias": true,
        "activation_function": "torch.nn.modules.linear.Identity"})");
    io::TensorList list;
    list.add("linear.weight", {5, 32}, std::span<const float>(weight));
    list.add("linear.bias", {5}, std::span<const float>(bias));
    io::write_safetensors(folder.file("2_Dense/model.safetensors"), list);
  }
  std::vector<float> vector_of(const io::SentenceEncoderOptions& options) const {
    const auto encoder = io::SentenceEncoder::open(folder.path().string(), options);
    std::vector<float> vector(static_cast<std::size_t>(encoder.width()));
    const std::vector<io::SentenceEncoder::Tokens> texts{{2, 4, 5, 8, 3}};
    encoder.encode_all(texts, Matrix<float>(vector.data(), {1, encoder.width()}));
    return vector;
  }
  std::string refused() const {
    const auto encoder = io::SentenceEncoder::try_open(folder.path().string());
    REQUIRE(!encoder);
    return encoder.error().what();
  }
};

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

/// Files of a golden folder, with a tokenizer that no test asks.
struct GoldenTexts {
  simgr_test::TemporaryFolder folder;
  io::Safetensors outputs;
  std::vector<io::SentenceEncoder::Tokens> texts;

  explicit GoldenTexts(const std::filesystem::path& path)
      : outputs(io::read_safetensors((path / "outputs.safetensors").string())) {
    for (const char* name : {"config.json", "model.safetensors"}) {
      std::filesystem::copy_file(path / name, folder.file(name));
    }
    std::ofstream(folder.file("tokenizer.json")) << simgr_test::small_bert_tokenizer;
    const auto inputs = io::read_safetensors((path / "inputs.safetensors").string());
    const auto lengths = integers(inputs, "lengths"), ids = integers(inputs, "input_ids");
    const std::size_t longest = ids.size() / lengths.size();
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(i * longest);
      texts.emplace_back(begin, begin + lengths[i]);
    }
  }
  static std::vector<std::int32_t> integers(const io::Safetensors& file, const char* name) {
    std::vector<std::int32_t> values(static_cast<std::size_t>(file.find(name)->size()));
    CHECK_FALSE(io::convert(*file.find(name), values.data()));
    return values;
  }
  std::vector<float> stored(const char* name) const {
    REQUIRE(outputs.find(name) != nullptr);
    std::vector<float> values(static_cast<std::size_t>(outputs.find(name)->size()));
    CHECK_FALSE(io::convert(*outputs.find(name), values.data()));
    return values;
  }
  /// The largest difference from what is stored, over the largest number stored.
  double gap(const io::SentenceEncoderOptions& options, const std::vector<float>& expected) const {
    const auto encoder = io::SentenceEncoder::open(folder.path().string(), options);
    std::vector<float> found(texts.size() * static_cast<std::size_t>(encoder.width()));
    encoder.encode_all(
        texts, Matrix<float>(found.data(), {static_cast<Index>(texts.size()), encoder.width()}));
    REQUIRE(found.size() == expected.size());
    float worst = 0, largest = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      worst = std::max(worst, std::abs(found[i] - expected[i]));
      largest = std::max(largest, std::abs(expected[i]));
    }
    REQUIRE(largest > 0);
    return static_cast<double>(worst / largest);
  }
};

}  // namespace

TEST_CASE("a map behind pooling is read from its folder") {
  MappedBert bert;
  const std::vector<float> mapped = bert.vector_of({.normalised = false});
  REQUIRE(mapped.size() == 5);
  const std::vector<float> scaled = bert.vector_of({});
  bert.text("modules.json", module_list("TP"));
  const std::vector<float> plain = bert.vector_of({.normalised = false});
  REQUIRE(plain.size() == 32);
  double squares = 0;
  for (std::size_t o = 0; o < 5; ++o) {
    double sum = static_cast<double>(bert.bias[o]);
    for (std::size_t i = 0; i < 32; ++i) {
      sum += static_cast<double>(bert.weight[o * 32 + i] * plain[i]);
    }
    CHECK(static_cast<double>(mapped[o]) == doctest::Approx(sum).epsilon(1e-4));
    squares += sum * sum;
  }
  for (std::size_t o = 0; o < 5; ++o) {
    CHECK(static_cast<double>(scaled[o]) ==
          doctest::Approx(static_cast<double>(mapped[o]) / std::sqrt(squares)).epsilon(1e-4));
  }
}

TEST_CASE("what is wrong with the files beside a model is said") {
  MappedBert bert;
  for (const char* kinds : {"", "T", "PT", "TPL", "TPND", "TPDDN", "TPNN"}) {
    bert.text("modules.json", module_list(kinds));
    contains(bert.refused(),
             "expected Transformer, Pooling, perhaps Dense, perhaps Normalize; found ");
  }
  for (const char* path : {"../1_Pooling", "/etc", "a/b", "..", "a\\\\b"}) {
    std::string list = module_list("TP");
    list.replace(list.find("1_Pooling"), 9, path);
    bert.text("modules.json", list);
    contains(bert.refused(), "[1].path: expected the name of a folder beside");
  }
  std::string list = module_list("TP");
  list.replace(list.find("\"path\": \"\""), 10, "\"path\": \"0_Model\"");
  bert.text("modules.json", list);
  contains(bert.refused(), "[0].path: expected the model to lie beside");
  for (const char* text : {"{}", "[3]", "[{\"path\": 4, \"type\": \"a.Transformer\"}]", "[", "7"}) {
    bert.text("modules.json", text);
    contains(bert.refused(), "modules.json");
  }
  bert.text("modules.json", module_list("TPDN"));
  bert.text("2_Dense/config.json",
            R"({"activation_function": "torch.nn.modules.activation.Tanh"})");
  contains(bert.refused(), "activation_function: expected torch.nn.modules.linear.Identity");
  bert.text("2_Dense/config.json", "{}");
  contains(bert.refused(), "Identity, found none");
  std::filesystem::remove(bert.folder.file("2_Dense/config.json"));
  contains(bert.refused(), "Identity, found none");
}

TEST_CASE("a map that does not fit is one error") {
  const MappedBert bert;
  const auto write = [&](const io::TensorList& list) {
    io::write_safetensors(bert.folder.file("2_Dense/model.safetensors"), list);
  };
  io::TensorList list;
  list.add("linear.weight", {32, 5}, std::span<const float>(bert.weight));
  list.add("linear.bias", {5}, std::span<const float>(bert.bias));
  list.add("other", {5}, std::span<const float>(bert.bias));
  write(list);
  const std::string message = bert.refused();
  contains(message, "3 tensors do not match a map of the vectors");
  contains(message, "linear.weight: expected [32, 32], file has [32, 5]");
  contains(message, "linear.bias: expected [32], file has [5]");
  contains(message, "other: not expected");
  write({});
  contains(bert.refused(), "linear.weight: expected [1, 32], file has none");
}

TEST_CASE("pooling is read as it was written since sentence-transformers 6, too") {
  const simgr_test::PublishedBert bert;
  const auto pooling = [&](const char* mode) {
    bert.text("1_Pooling/config.json",
              std::string(R"({"embedding_dimension": 32, "pooling_mode": )") + mode + "}");
    return io::try_read_sentence_folder(bert.folder.path().string());
  };
  CHECK(pooling("\"mean\"").value().pooling == Pooling::mean);
  CHECK(pooling("\"cls\"").value().pooling == Pooling::first);
  CHECK(pooling("\"lasttoken\"").value().pooling == Pooling::last);
  for (const char* wrong :
       {"\"max\"", "[\"mean\", \"max\"]", "null", "\"mean\", \"pooling_mode_cls_token\": true"}) {
    const auto refused = pooling(wrong);
    REQUIRE(!refused);
    contains(refused.error().what(), "or pooling_mode mean, cls or lasttoken");
  }
}

TEST_CASE("how many tokens are read is what the folder says first") {
  const simgr_test::PublishedBert bert;
  const auto longest = [&](Index asked) {
    return io::SentenceEncoder::open(bert.folder.path().string(), {.longest = asked}).longest();
  };
  CHECK(longest(0) == 9);  // of tokenizer.json
  bert.text("sentence_bert_config.json", R"({"max_seq_length": 7, "do_lower_case": false})");
  CHECK(longest(0) == 7);
  CHECK(longest(11) == 11);
  bert.text("sentence_bert_config.json", R"({"max_seq_length": 700})");
  CHECK(longest(0) == 12);  // positions
  bert.text("sentence_bert_config.json", R"({"max_seq_length": null})");
  CHECK(longest(0) == 9);
  for (const char* wrong : {"0", "-1", "\"7\"", "1e3", "99999999999"}) {
    bert.text("sentence_bert_config.json", std::string(R"({"max_seq_length": )") + wrong + "}");
    const auto refused = io::SentenceEncoder::try_open(bert.folder.path().string());
    REQUIRE(!refused);
    contains(refused.error().what(), "sentence_bert_config.json");
    contains(refused.error().what(), "max_seq_length: expected");
  }
}

TEST_SUITE("golden") {
  TEST_CASE("SentenceEncoder: states of published decoders and sentence-T5") {
    const auto shared = simgr_test::shared_folder();
    std::error_code error;
    int decoders = 0, readers = 0;
    for (const auto& entry : std::filesystem::directory_iterator(
             shared ? *shared / "golden/models" : std::filesystem::path(), error)) {
      const std::filesystem::path& path = entry.path();
      if (!std::filesystem::exists(path / "model.safetensors") ||
          !std::filesystem::exists(path / "outputs.safetensors") ||
          std::filesystem::exists(path / "adapter_config.json")) {
        continue;
      }
      INFO(path.string());
      const auto outputs = io::read_safetensors((path / "outputs.safetensors").string());
      if (outputs.find("last_position") != nullptr && outputs.find("hidden.final") != nullptr) {
        const GoldenTexts golden(path);
        CHECK(golden.gap({.normalised = false}, golden.stored("last_position")) < 3e-5);
        const auto states = golden.stored("hidden.final");
        const std::size_t texts = golden.texts.size(),
                          width = golden.stored("last_position").size() / texts,
                          longest = states.size() / texts / width;
        std::vector<float> means(texts * width);
        for (std::size_t s = 0; s < texts; ++s) {
          const std::size_t count = golden.texts[s].size();
          for (std::size_t t = 0; t < count; ++t) {
            for (std::size_t j = 0; j < width; ++j) {
              means[s * width + j] +=
                  states[(s * longest + t) * width + j] / static_cast<float>(count);
            }
          }
        }
        CHECK(golden.gap({.pooling = Pooling::mean, .normalised = false}, means) < 3e-5);
        ++decoders;
      } else if (outputs.find("dense") != nullptr) {
        const GoldenTexts golden(path);
        CHECK(golden.gap({}, golden.stored("embedding")) < 3e-5);
        CHECK(golden.gap({.normalised = false}, golden.stored("dense")) < 3e-5);
        ++readers;
      }
    }
    std::printf("texts of %d decoders and %d sentence-T5 checked\n", decoders, readers);
    CHECK((!shared || (decoders > 0 && readers > 0)));
  }
}
