// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/checkpoint.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/allocations.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/io/model_config.hpp>
#include <simgr/io/model_folder.hpp>
#include <simgr/io/text_tokenizer.hpp>

namespace {

/// Bytes that reading this file allocates.
std::size_t cost(const std::string& path, bool& accepted) {
  const std::size_t before = simgr_test::allocated_bytes();
  accepted = simgr::io::try_read_safetensors(path).ok();
  return simgr_test::allocated_bytes() - before;
}

}  // namespace

TEST_CASE("a file of 1 KiB never makes the reader allocate more than 1 MiB (R6)") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("x");
  const std::string shapes[] = {
      R"({"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}})",
      R"({"a":{"dtype":"U8","shape":[1000000,1000000],"data_offsets":[0,1000000000000]}})",
      R"({"a":{"dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,8]}})",
      std::string(1000, '['),
      "{\"a\":" + std::string(900, '[') + "}",
      "{\"a\":" + std::string(900, '9') + "}",
      R"({"a":{"dtype":"U8","shape":[)" + std::string(400, '1') + R"(],"data_offsets":[0,1]}})",
  };
  std::size_t worst = 0;
  for (const std::string& header : shapes) {
    for (const std::uint64_t claim :
         {std::uint64_t{header.size()}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
      std::string bytes(reinterpret_cast<const char*>(&claim), 8);
      bytes += header;
      bytes.resize(std::max<std::size_t>(bytes.size(), 1024), ' ');
      simgr_test::write_bytes(path, bytes);
      bool accepted = true;
      worst = std::max(worst, cost(path, accepted));
      CHECK_FALSE(accepted);
    }
  }
  CHECK(worst <= std::size_t{1} << 20);
  std::printf("safetensors: hostile files of 1 KiB allocated at most %zu bytes\n", worst);
}

TEST_CASE("reading a whole file allocates less than twice its size (R6)") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("x");
  const std::vector<float> values(500'000, 1.0f);
  simgr::io::CheckpointWriter writer;
  for (int i = 0; i < 20; ++i) {
    writer.add(
        "blocks." + std::to_string(i) + ".weight", {100, 250},
        std::span<const float>(values).subspan(static_cast<std::size_t>(i) * 25'000, 25'000));
  }
  writer.write(path);
  const auto size = static_cast<std::size_t>(std::filesystem::file_size(path));
  bool accepted = false;
  const std::size_t bytes = cost(path, accepted);
  CHECK(accepted);
  CHECK(bytes >= size - 8);  // the meter works
  CHECK(bytes <= 2 * size);
  const std::size_t before = simgr_test::allocated_bytes();
  CHECK(simgr::io::Checkpoint::try_read(path).ok());
  CHECK(simgr_test::allocated_bytes() - before <= 2 * size);
  std::printf("safetensors: %zu bytes allocated for a file of %zu\n", bytes, size);

  simgr_test::write_bytes(path, std::string_view(simgr_test::read_bytes(path)).substr(0, size - 1));
  CHECK(cost(path, accepted) <= (std::size_t{1} << 20) + 4096);  // refused before the data
  CHECK_FALSE(accepted);
}

TEST_CASE(
    "a hostile config.json or index of 1 KiB never makes a reader allocate more than 1 MiB (R6)") {
  const std::string texts[] = {
      std::string(1024, '['),
      std::string(1024, '{'),
      "{\"weight_map\":{\"a\":\"" + std::string(900, 'x') + ".safetensors\"}}",
      "{\"weight_map\":" + std::string(900, '9') + "}",
      "{\"architectures\":[" + std::string(900, ' ') + "\"\"]}",
      R"({"model_type":"gpt2","n_embd":65536,"n_layer":1024,"n_head":1024,"n_positions":16777216,)"
      R"("vocab_size":16777216})",
  };
  std::size_t worst = 0;
  for (const std::string& text : texts) {
    const std::size_t before = simgr_test::allocated_bytes();
    const bool config = simgr::io::try_parse_model_config(text).ok();
    const bool index = simgr::io::try_parse_shard_index(text).ok();
    worst = std::max(worst, simgr_test::allocated_bytes() - before);
    CHECK(config == (&text == std::end(texts) - 1));
    CHECK_FALSE(index);
  }
  CHECK(worst <= std::size_t{1} << 20);
  std::printf("config.json and index: hostile files of 1 KiB allocated at most %zu bytes\n", worst);
}

TEST_CASE("a mapped checkpoint allocates for its header, not for its data") {
  const simgr_test::TemporaryFolder folder;
  const std::vector<float> values(2'000'000, 1.0f);
  simgr::io::TensorList list;
  list.add("a", {2000, 1000}, std::span<const float>(values));
  simgr::io::write_safetensors(folder.file("model.safetensors"), list);
  const std::size_t before = simgr_test::allocated_bytes();
  const auto opened = simgr::io::ModelFolder::try_open(folder.path().string());
  CHECK(opened.ok());
  CHECK(simgr_test::allocated_bytes() - before <= 65536);
}

TEST_CASE("a tokenizer.json of 1 KiB never makes the reader allocate more than 1 MiB (R6)") {
  const auto model = [](const std::string& rest) { return R"({"model": {)" + rest + "}}"; };
  const std::string documents[] = {
      model(R"("type": "BPE", "vocab": {"a": 2147483647}, "merges": [])"),
      model(R"("type": "BPE", "vocab": {"a": 1027}, "merges": [])"),  // the largest id allowed
      model(R"("type": "WordPiece", "vocab": {"[UNK]": 0}, "max_input_chars_per_word": 65536)"),
      model(R"("type": "Unigram", "unk_id": 0, "vocab": [["a", 0]])"),
      R"({"added_tokens": [{"id": 2147483647, "content": "x"}], )" +
          model(R"("type": "BPE", "vocab": {}, "merges": [])").substr(1),
      model(R"("type": "BPE", "merges": [], "vocab": )" + std::string(900, '[')),
  };
  for (const std::string& document : documents) {
    INFO(document.substr(0, 100));
    CHECK(document.size() <= 1024);
    const std::size_t before = simgr_test::allocated_bytes();
    static_cast<void>(simgr::io::try_parse_text_tokenizer(document));
    CHECK(simgr_test::allocated_bytes() - before <= std::size_t{1} << 20);
  }
}
