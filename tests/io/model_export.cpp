// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/model_export.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/io/model_config.hpp>
#include <simgr/io/model_layout.hpp>

namespace {

using namespace simgr;
using simgr_test::TemporaryFolder;

const std::string export_config = R"({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"],
 "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 7, "vocab_size":5, "extra": {"kept": [1]},
 "torch_dtype" : "float32"})";

std::vector<float> counted(const ParameterTable& table, float first = 1) {
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  for (float& value : block) { value = first++; }
  return block;
}

/// A GPT-2 folder of one layer, with a buffer, a head, and a file of its tokenizer.
void write_gpt2(const TemporaryFolder& folder) {
  io::TensorList list;
  const auto add = [&](const std::string& name, std::vector<Index> shape) {
    Index size = 1;
    for (const Index extent : shape) { size *= extent; }
    const std::vector<float> values(static_cast<std::size_t>(size), 0.25f);
    list.add_copy(name, std::move(shape), std::span<const float>(values));
  };
  add("wte.weight", {5, 8});
  add("wpe.weight", {7, 8});
  add("h.0.attn.bias", {1, 1, 7, 7});
  add("h.0.attn.c_attn.weight", {8, 24});
  add("h.0.attn.c_attn.bias", {24});
  add("h.0.attn.c_proj.weight", {8, 8});
  add("h.0.attn.c_proj.bias", {8});
  add("h.0.mlp.c_fc.weight", {8, 32});
  add("h.0.mlp.c_fc.bias", {32});
  add("h.0.mlp.c_proj.weight", {32, 8});
  add("h.0.mlp.c_proj.bias", {8});
  for (const char* norm : {"h.0.ln_1", "h.0.ln_2", "ln_f"}) {
    add(std::string(norm) + ".weight", {8});
    add(std::string(norm) + ".bias", {8});
  }
  add("lm_head.weight", {5, 8});
  list.set("source", "a test");
  io::write_safetensors(folder.file("model.safetensors"), list);
  simgr_test::write_bytes(folder.file("config.json"), export_config);
  simgr_test::write_bytes(folder.file("merges.txt"), "a b\n");
}

bool same_numbers(const std::vector<float>& a, const std::vector<float>& b,
                  const ParameterTable& table) {
  return std::all_of(table.tensors.begin(), table.tensors.end(), [&](const TensorEntry& tensor) {
    const auto at = static_cast<std::ptrdiff_t>(tensor.offset);
    return std::equal(a.begin() + at, a.begin() + at + tensor.size, b.begin() + at);
  });
}

}  // namespace

TEST_CASE("what is exported reads back, in the layout of its source") {
  const TemporaryFolder source, target;
  write_gpt2(source);
  const auto facts = io::read_model_config(source.file("config.json"));
  const ParameterTable table = io::model_layout(facts);
  const std::vector<float> block = counted(table);
  const io::ModelFolder files = io::ModelFolder::open(source.path().string());
  io::save_model_folder(target.file("new/folder"), files, facts, table, block);

  const io::ModelFolder saved = io::ModelFolder::open(target.file("new/folder"));
  CHECK(saved.find("h.0.attn.bias") == nullptr);
  REQUIRE(saved.find("lm_head.weight") != nullptr);  // which the model has nothing of
  CHECK(saved.find("h.0.attn.c_attn.weight")->shape == std::vector<Index>{8, 24});
  CHECK(*saved.files()[0].find_metadata("format") == "pt");
  CHECK(*saved.files()[0].find_metadata("source") == "a test");
  CHECK(saved.tensors().size() == files.tensors().size() - 1);
  CHECK(simgr_test::read_bytes(target.file("new/folder/config.json")) == export_config);
  CHECK(simgr_test::read_bytes(target.file("new/folder/merges.txt")) == "a b\n");
  std::vector<float> back(block.size());
  io::load_parameters(saved, facts, table, std::span<float>(back));
  CHECK(same_numbers(back, block, table));

  // Into the folder it came from, which is mapped meanwhile.
  io::save_model_folder(source.path().string(), files, facts, table, block);
  std::fill(back.begin(), back.end(), 0.0f);
  io::load_parameters(io::ModelFolder::open(source.path().string()), facts, table,
                      std::span<float>(back));
  CHECK(same_numbers(back, block, table));
  CHECK(source.entries() == 3);
}

TEST_CASE("BF16 and added tokens: the config says so") {
  const TemporaryFolder source, target;
  write_gpt2(source);
  const auto facts = io::read_model_config(source.file("config.json"));
  const ParameterTable table = io::model_layout(facts, {"lm.", 2});
  const std::vector<float> block = counted(table, 0.5f);
  const io::ModelFolder files = io::ModelFolder::open(source.path().string());
  const io::ExportOptions options{{"lm.", 2}, io::Dtype::bf16};
  io::save_model_folder(target.path().string(), files, facts, table, block, options);
  const auto grown = io::read_model_config(target.file("config.json"));
  CHECK(grown.vocabulary == 7);
  CHECK(grown.dtype == io::Dtype::bf16);
  const std::string text = simgr_test::read_bytes(target.file("config.json"));
  CHECK(text.find(R"("vocab_size":7, "extra": {"kept": [1]},)") != std::string::npos);
  CHECK(text.find(R"("torch_dtype" : "bfloat16"})") != std::string::npos);
  const io::ModelFolder saved = io::ModelFolder::open(target.path().string());
  CHECK(saved.find("wte.weight")->shape == std::vector<Index>{7, 8});
  CHECK(saved.find("wte.weight")->dtype == io::Dtype::bf16);
  const ParameterTable bare = io::model_layout(grown);
  std::vector<float> back(block.size());
  io::load_parameters(saved, grown, bare, std::span<float>(back));
  for (const TensorEntry& tensor : bare.tensors) {
    for (Index i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      const auto place = static_cast<std::size_t>(i);
      CHECK(back[place] == float_from_bf16(bf16_from_float(block[place])));
    }
  }
}

TEST_CASE("an export that would lose or mix something is refused before the disk is touched") {
  const TemporaryFolder source, target;
  write_gpt2(source);
  const auto facts = io::read_model_config(source.file("config.json"));
  const io::ModelFolder files = io::ModelFolder::open(source.path().string());
  ParameterTable adapted = io::model_layout(facts);
  for (TensorEntry& tensor : adapted.tensors) {
    if (tensor.name == "blocks.0.up.weight") {
      tensor.name = "blocks.0.up.base.weight";
    }
  }
  adapted.tensors.push_back({"blocks.0.up.a", {2, 8}, adapted.block_size, 16, {}});
  adapted.block_size += 16;
  const auto refused =
      io::try_save_model_folder(target.path().string(), files, facts, adapted, counted(adapted));
  REQUIRE(refused);
  CHECK(std::string(refused->what()).find("blocks.0.up.a: adapters are merged") !=
        std::string::npos);
  CHECK(target.entries() == 0);
  simgr_test::write_bytes(target.file("model.safetensors.index.json"), "{}");
  const ParameterTable table = io::model_layout(facts);
  const auto mixed =
      io::try_save_model_folder(target.path().string(), files, facts, table, counted(table));
  REQUIRE(mixed);
  CHECK(std::string(mixed->what()).find("weights of another layout") != std::string::npos);
  CHECK(target.entries() == 1);
}

TEST_SUITE("golden") {
  TEST_CASE("golden checkpoints survive loading and saving, bit by bit") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    std::size_t checkpoints = 0, sharded_checkpoints = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(*shared / "golden/models")) {
      if (entry.path().filename() != "config.json") {
        continue;
      }
      const auto path = entry.path().parent_path();
      CAPTURE(path.string());
      const auto facts = io::read_model_config(entry.path().string());
      const ParameterTable table = io::model_layout(facts);
      const io::ModelFolder files = io::ModelFolder::open(path.string());
      std::vector<float> block(static_cast<std::size_t>(table.block_size));
      io::load_parameters(files, facts, table, std::span<float>(block));
      const TemporaryFolder target;
      io::save_model_folder(target.path().string(), files, facts, table, block);
      const io::ModelFolder saved = io::ModelFolder::open(target.path().string());
      REQUIRE(saved.tensors().size() == files.tensors().size());
      for (std::size_t i = 0; i < saved.tensors().size(); ++i) {
        const io::TensorView &a = *saved.tensors()[i].view, &b = *files.tensors()[i].view;
        CHECK(a.name == b.name);
        CHECK(a.shape == b.shape);
        CHECK(a.dtype == b.dtype);
        CHECK(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
      }
      CHECK(io::read_model_config(target.file("config.json")) == facts);
      ++checkpoints;
      if (std::filesystem::exists(path / "sharded")) {
        const TemporaryFolder sharded, written;
        std::filesystem::copy(path / "sharded", sharded.path(),
                              std::filesystem::copy_options::recursive);
        std::filesystem::copy(entry.path(), sharded.path());
        const io::ModelFolder shards = io::ModelFolder::open(sharded.path().string());
        io::save_model_folder(written.path().string(), shards, facts, table, block,
                              {{}, io::Dtype::bf16});
        const io::ModelFolder read = io::ModelFolder::open(written.path().string());
        REQUIRE(read.files().size() == shards.files().size());
        for (std::size_t i = 0; i < shards.files().size(); ++i) {
          CHECK(read.files()[i].tensors().size() == shards.files()[i].tensors().size());
        }
        std::vector<float> rounded(block.size());
        io::load_parameters(read, facts, table, std::span<float>(rounded));
        CHECK(std::equal(rounded.begin(), rounded.end(), block.begin(), [](float a, float b) {
          return a == float_from_bf16(bf16_from_float(b));
        }));
        ++sharded_checkpoints;
      }
    }
    CHECK(checkpoints > 0);
    CHECK(sharded_checkpoints > 0);
    std::printf("golden checkpoints: %zu saved as they were, %zu in shards\n", checkpoints,
                sharded_checkpoints);
  }
}
