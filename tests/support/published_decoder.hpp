// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <support/published_bert.hpp>

namespace simgr_test {

/// A small Qwen2 as it would be published, with random weights in bfloat16, under the tokenizer of
/// PublishedBert. Not `tied` it has a head of its own, as larger ones do.
struct PublishedQwen : TemporaryFolder {
  simgr::Rng rng{7, 3};
  simgr::io::TensorList tensors;

  explicit PublishedQwen(bool tied = true) {
    std::ofstream(file("config.json")) << R"({"architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 24, "max_position_embeddings": 128,
        "vocab_size": 9, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": )" << (tied ? "true" : "false")
                                       << R"(, "torch_dtype": "bfloat16"})";
    std::ofstream(file("tokenizer.json")) << small_bert_tokenizer;
    add("model.embed_tokens.weight", {9, 16});
    for (const std::string block : {"model.layers.0.", "model.layers.1."}) {
      for (const auto& [map, out] : {std::pair("q", 16), std::pair("k", 8), std::pair("v", 8)}) {
        add(block + "self_attn." + map + "_proj.weight", {out, 16});
        add(block + "self_attn." + map + "_proj.bias", {out});
      }
      add(block + "self_attn.o_proj.weight", {16, 16});
      add(block + "mlp.gate_proj.weight", {24, 16});
      add(block + "mlp.up_proj.weight", {24, 16});
      add(block + "mlp.down_proj.weight", {16, 24});
      add(block + "input_layernorm.weight", {16});
      add(block + "post_attention_layernorm.weight", {16});
    }
    add("model.norm.weight", {16});
    if (!tied) {
      add("lm_head.weight", {9, 16});
    }
    simgr::io::write_safetensors(file("model.safetensors"), tensors);
  }
  void add(const std::string& name, std::vector<simgr::Index> shape) {
    simgr::Index size = 1;
    for (const simgr::Index extent : shape) { size *= extent; }
    std::vector<simgr::BFloat16> values(static_cast<std::size_t>(size));
    for (simgr::BFloat16& value : values) {
      value = {simgr::bf16_from_float(static_cast<float>(0.3 * rng.normal()))};
    }
    tensors.add_copy(name, std::move(shape), std::span<const simgr::BFloat16>(values));
  }
};

/// A small GPT-2, likewise, in floats.
struct PublishedGpt2 : TemporaryFolder {
  PublishedGpt2() {
    std::ofstream(file("config.json")) << R"({"architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 96,
        "vocab_size": 9})";
    std::ofstream(file("tokenizer.json")) << small_bert_tokenizer;
    simgr::Rng rng(9, 4);
    simgr::io::TensorList tensors;
    const auto add = [&](const std::string& name, std::vector<simgr::Index> shape) {
      simgr::Index size = 1;
      for (const simgr::Index extent : shape) { size *= extent; }
      std::vector<float> values(static_cast<std::size_t>(size));
      for (float& value : values) { value = static_cast<float>(0.3 * rng.normal()); }
      tensors.add_copy(name, std::move(shape), std::span<const float>(values));
    };
    add("transformer.wte.weight", {9, 16});
    add("transformer.wpe.weight", {96, 16});
    for (const std::string block : {"transformer.h.0.", "transformer.h.1."}) {
      add(block + "attn.c_attn.weight", {16, 48});
      add(block + "attn.c_attn.bias", {48});
      add(block + "attn.c_proj.weight", {16, 16});
      add(block + "attn.c_proj.bias", {16});
      add(block + "mlp.c_fc.weight", {16, 64});
      add(block + "mlp.c_fc.bias", {64});
      add(block + "mlp.c_proj.weight", {64, 16});
      add(block + "mlp.c_proj.bias", {16});
      for (const char* norm : {"ln_1", "ln_2"}) {
        add(block + norm + ".weight", {16});
        add(block + norm + ".bias", {16});
      }
    }
    add("transformer.ln_f.weight", {16});
    add("transformer.ln_f.bias", {16});
    simgr::io::write_safetensors(file("model.safetensors"), tensors);
  }
};

}  // namespace simgr_test
