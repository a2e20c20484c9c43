// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <support/temporary_folder.hpp>

#include <simgr/core/rng.hpp>
#include <simgr/io/safetensors_writer.hpp>

namespace simgr_test {

inline constexpr const char* small_bert_config =
    R"({"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
        "max_position_embeddings": 12, "type_vocab_size": 2, "vocab_size": 9,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12})";
inline constexpr const char* small_bert_tokenizer =
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
  TemporaryFolder folder;
  simgr::Rng rng{5, 9};
  simgr::io::TensorList tensors;

  PublishedBert() {
    text("config.json", small_bert_config);
    text("tokenizer.json", small_bert_tokenizer);
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
    simgr::io::write_safetensors(folder.file("model.safetensors"), tensors);
  }
  void text(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(folder.file(name)).parent_path());
    std::ofstream(folder.file(name)) << content;
  }
  void map(const std::string& name, simgr::Index out, simgr::Index in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  void add(const std::string& name, std::vector<simgr::Index> shape) {
    simgr::Index size = 1;
    for (const simgr::Index extent : shape) { size *= extent; }
    std::vector<float> values(static_cast<std::size_t>(size));
    for (float& value : values) { value = static_cast<float>(0.3 * rng.normal()); }
    tensors.add_copy(name, std::move(shape), std::span<const float>(values));
  }
};

}  // namespace simgr_test
