// SPDX-License-Identifier: Apache-2.0
// What `simgr inspect` says of a published checkpoint, and of one that is none.
#include <cli/program.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/io/safetensors_writer.hpp>

namespace {

using simgr::Index;
using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;

/// A Qwen2 of one block in two files; the second lacks a tensor where it is not `whole`.
void write_checkpoint(const TemporaryFolder& folder, bool whole) {
  const std::pair<std::string, std::vector<Index>> shapes[] = {
      {"model.embed_tokens.weight", {10, 8}},
      {"model.layers.0.input_layernorm.weight", {8}},
      {"model.layers.0.self_attn.q_proj.weight", {8, 8}},
      {"model.layers.0.self_attn.q_proj.bias", {8}},
      {"model.layers.0.self_attn.k_proj.weight", {4, 8}},
      {"model.layers.0.self_attn.k_proj.bias", {4}},
      {"model.layers.0.self_attn.v_proj.weight", {4, 8}},
      {"model.layers.0.self_attn.v_proj.bias", {4}},
      {"model.layers.0.self_attn.o_proj.weight", {8, 8}},
      {"model.layers.0.post_attention_layernorm.weight", {8}},
      {"model.layers.0.mlp.gate_proj.weight", {12, 8}},
      {"model.layers.0.mlp.up_proj.weight", {12, 8}},
      {"model.layers.0.mlp.down_proj.weight", {8, 12}},
      {"model.norm.weight", {8}}};
  simgr::io::TensorList lists[2];
  std::string weight_map;
  for (const auto& [name, shape] : shapes) {
    if (name == "model.norm.weight" && !whole) {
      continue;
    }
    Index size = 1;
    for (const Index extent : shape) { size *= extent; }
    const std::size_t place = name.find("mlp") != std::string::npos ? 1 : 0;
    lists[place].add_rounded(name, simgr::io::Dtype::bf16, shape,
                             std::vector<float>(static_cast<std::size_t>(size), 0.5f));
    weight_map += (weight_map.empty() ? "\"" : ",\"") + name + "\":\"part-" +
                  std::to_string(place) + ".safetensors\"";
  }
  simgr::io::write_safetensors(folder.file("model/part-0.safetensors"), lists[0]);
  simgr::io::write_safetensors(folder.file("model/part-1.safetensors"), lists[1]);
  simgr_test::write_bytes(folder.file("model/model.safetensors.index.json"),
                          "{\"weight_map\":{" + weight_map + "}}");
  simgr_test::write_bytes(folder.file("model/config.json"),
                          R"({"model_type": "qwen2", "hidden_size": 8, "num_hidden_layers": 1,
 "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 12, "vocab_size": 10,
 "max_position_embeddings": 64, "tie_word_embeddings": true})");
}

}  // namespace

TEST_CASE("inspect says what a checkpoint is and what memory it needs, and reads no weights") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("model"));
  write_checkpoint(folder, true);
  const auto run = run_simgr(folder, {"inspect", folder.file("model"), "--rank", "4"});
  CAPTURE(run.out);
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  // 80 + 8 + 64 + 8 + 32 + 4 + 32 + 4 + 64 + 8 + 3 * 96 + 8
  for (const char* line :
       {"checkpoint: Qwen2ForCausalLM, family qwen2, 2 files\n",
        "model: 1 blocks, width 8, 2 heads of 4 (1 of keys and values), inner 12, gated silu\n",
        "tokens: 10, at most 64 a text, the head is their table\n",
        "weights: 600 parameters in 14 tensors, 1.20 kB (BF16)\n",
        "to serve: 1.20 kB of weights as they are, 2.40 kB as floats; 32 B a token for keys and "
        "values\n",
        "  all weights: 9.60 kB of weights, gradients and two moments, and about ",
        // 4 * (16 + 12 + 12 + 16 + 3 * 20) weights
        "  adapters of rank 4 beside all maps: 2.40 kB of weights as floats or 1.20 kB with "
        "--precision bf16, 7.42 kB for 0.000464 "
        "million weights of adapters, and about "}) {
    CAPTURE(line);
    CHECK(run.out.find(line) != std::string::npos);
  }
}

TEST_CASE("a checkpoint that is none: exit code 1 and one line; wrong options: 2") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("model"));
  const auto fails = [&](const std::vector<std::string>& arguments, int code,
                         const std::string& part) {
    const auto run = run_simgr(folder, arguments);
    CAPTURE(run.err);
    CHECK(run.code == code);
    CHECK(run.out.empty());
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
    CHECK(run.err.find(part) != std::string::npos);
  };
  const std::string model = folder.file("model");
  fails({"inspect", model}, 1, "expected model.safetensors or model.safetensors.index.json");
  write_checkpoint(folder, false);
  fails({"inspect", model}, 1,
        "1 tensor does not match the model: model.norm.weight: expected [8], file has none");
  write_checkpoint(folder, true);
  fails({"inspect", model, "--tokens", "0"}, 2, "--tokens");
  std::filesystem::remove(model + "/config.json");
  fails({"inspect", model}, 1, "config.json: open: No such file");
}
