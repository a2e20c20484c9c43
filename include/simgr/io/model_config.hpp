// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <simgr/io/config_fields.hpp>
#include <simgr/io/input_file.hpp>
#include <simgr/io/language_model_facts.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

constexpr Index widest = 65536, deepest = 1024, most_heads = 1024, most_inner = 1 << 20,
                most_tokens = 1 << 24;

inline const LanguageArchitecture* read_architecture(ConfigFields& fields) {
  const std::string type = fields.word("model_type", "");
  std::string named, known;
  if (const data::JsonValue* list = fields.find("architectures")) {
    const data::JsonValue::Array* array = list->as_array();
    if (array == nullptr || array->empty() || array->front().as_text() == nullptr) {
      fields.wrong("architectures", "expected a list that begins with a name");
      return nullptr;
    }
    named = *array->front().as_text();
  }
  bool same_type = false;
  for (const LanguageArchitecture& candidate : language_architectures) {
    if (candidate.model_type == type && (named.empty() || candidate.name == named)) {
      return &candidate;
    }
    same_type = same_type || candidate.model_type == type;
  }
  for (const LanguageArchitecture& candidate : language_architectures) {
    const std::string_view word = same_type ? candidate.name : candidate.model_type;
    const bool of_type = !same_type || candidate.model_type == type;
    if (of_type && known.find(word) == std::string::npos) {
      known += (known.empty() ? "" : ", ") + std::string(word);
    }
  }
  fields.wrong(same_type ? "architectures" : "model_type",
               "expected one of " + known + "; found " + data::in_quotes(same_type ? named : type));
  return nullptr;
}

inline LanguageActivation read_activation(ConfigFields& fields, std::string_view key,
                                          std::string_view word) {
  constexpr std::pair<std::string_view, LanguageActivation> words[] = {
      {"silu", LanguageActivation::silu},     {"swish", LanguageActivation::silu},
      {"gelu", LanguageActivation::gelu_erf}, {"gelu_new", LanguageActivation::gelu_tanh},
      {"relu", LanguageActivation::relu},     {"gelu_pytorch_tanh", LanguageActivation::gelu_tanh},
  };
  for (const auto& [name, activation] : words) {
    if (name == word) {
      return activation;
    }
  }
  fields.refuse(key, "silu, gelu, gelu_new, gelu_pytorch_tanh or relu");
  return LanguageActivation::relu;
}

inline std::optional<Dtype> read_dtype(ConfigFields& fields) {
  const std::string_view key = fields.has("dtype") ? "dtype" : "torch_dtype";
  if (!fields.has(key)) {
    return std::nullopt;
  }
  std::string word = fields.word(key, "");
  if (word.starts_with("torch.")) {
    word.erase(0, 6);
  }
  constexpr std::pair<std::string_view, Dtype> words[] = {
      {"float32", Dtype::f32}, {"float16", Dtype::f16}, {"bfloat16", Dtype::bf16}};
  for (const auto& [name, dtype] : words) {
    if (name == word) {
      return dtype;
    }
  }
  fields.refuse(key, "float32, float16 or bfloat16");
  return std::nullopt;
}

/// `eos_token_id`, of several the first; -1: none.
inline Index read_end(ConfigFields& fields, Index vocabulary) {
  constexpr std::string_view key = "eos_token_id";
  const data::JsonValue* value = fields.find(key);
  if (value != nullptr && value->as_array() != nullptr) {
    value = value->as_array()->empty() ? nullptr : &value->as_array()->front();
  }
  if (value == nullptr) {
    return -1;
  }
  const auto token = value->as_integer();
  if (!token || *token < 0 || *token >= vocabulary) {
    fields.refuse(key,
                  "a token, from 0 to " + std::to_string(vocabulary - 1) + ", or a list of them");
    return -1;
  }
  return static_cast<Index>(*token);
}

/// Theta and scaling: in `rope_parameters`, or in `rope_theta` and `rope_scaling`.
inline void read_rotary(const data::JsonValue& root, ConfigFields& fields, const std::string& file,
                        Failure& failure, LanguageModelFacts& facts) {
  constexpr double largest_theta = 1e12;
  RotaryAngles& angles = facts.angles;
  angles.theta = fields.number("rope_theta", 1, largest_theta, 10000.0);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!fields.has(key)) {
      continue;
    }
    const data::JsonValue& object = *root.find(key);
    if (object.as_object() == nullptr) {
      fields.refuse(key, "an object");
      return;
    }
    ConfigFields rope(object, file, failure, std::string(key) + ".");
    if (rope.has("rope_theta")) {
      const double theta = rope.number("rope_theta", 1, largest_theta);
      if (fields.has("rope_theta") && theta != angles.theta) {
        rope.wrong("rope_theta", "another number stands in rope_theta");
      }
      angles.theta = theta;
    }
    const char* type_key = rope.has("rope_type") ? "rope_type" : "type";
    const std::string type = rope.word(type_key, "default");
    if (type == "llama3") {
      const RotaryAngles scaled{
          angles.theta, rope.number("factor", 1, 1e6), rope.number("low_freq_factor", 1e-6, 1e6),
          rope.number("high_freq_factor", 1e-6, 1e6),
          static_cast<double>(rope.integer("original_max_position_embeddings", 1, most_tokens))};
      if (scaled.low >= scaled.high) {
        rope.refuse("high_freq_factor", "more than low_freq_factor");
      }
      if (angles.scaling != 1 && angles != scaled) {
        rope.wrong(type_key, "rope_parameters say otherwise");
      }
      angles = scaled;
    } else if (type != "default") {
      rope.refuse(type_key, "default or llama3");
    }
  }
  if (fields.number("partial_rotary_factor", 0, 1, 1.0) != 1) {
    fields.refuse("partial_rotary_factor", "1: heads are rotated whole");
  }
}

/// Qwen2, Qwen3, Llama.
inline void read_rotary_decoder(const data::JsonValue& root, ConfigFields& fields,
                                const std::string& file, Failure& failure,
                                LanguageModelFacts& facts) {
  const bool qwen2 = facts.family == LanguageFamily::qwen2;
  const bool qwen3 = facts.family == LanguageFamily::qwen3;
  facts.causal = facts.gated = true;
  facts.width = fields.integer("hidden_size", 1, widest);
  facts.layers = fields.integer("num_hidden_layers", 1, deepest);
  facts.heads = fields.integer("num_attention_heads", 1, most_heads);
  facts.key_value_heads = fields.integer("num_key_value_heads", 1, most_heads, facts.heads);
  if (facts.heads % facts.key_value_heads != 0) {
    fields.refuse("num_key_value_heads",
                  "a divisor of num_attention_heads " + std::to_string(facts.heads));
  }
  if (!qwen3 && !fields.has("head_dim") && facts.width % facts.heads != 0) {
    fields.refuse("hidden_size",
                  "a multiple of num_attention_heads " + std::to_string(facts.heads));
  }
  facts.head_width =
      fields.integer("head_dim", 1, widest, qwen3 ? Index{128} : facts.width / facts.heads);
  if (facts.head_width % 2 != 0) {
    fields.wrong("head_dim",
                 "expected an even width of a head, found " + std::to_string(facts.head_width));
  }
  facts.inner = fields.integer("intermediate_size", 1, most_inner);
  facts.positions =
      fields.integer("max_position_embeddings", 1, most_tokens, qwen2 || qwen3 ? 32768 : 2048);
  facts.epsilon = fields.number("rms_norm_eps", 1e-20, 1, 1e-6);
  facts.tied_head = fields.flag("tie_word_embeddings", false);
  facts.query_key_value_bias = qwen2;
  facts.query_key_norm = qwen3;
  facts.activation = read_activation(fields, "hidden_act", fields.word("hidden_act", "silu"));
  read_rotary(root, fields, file, failure, facts);
  if (!qwen2) {
    fields.require_flag("attention_bias", false, "the projections have no biases");
  }
  fields.require_flag("mlp_bias", false, "the projections have no biases");
  if (fields.has("sliding_window")) {
    fields.require_flag("use_sliding_window", false, "attention reaches back to the first token");
  }
  if (const data::JsonValue* kinds = fields.find("layer_types")) {
    const data::JsonValue::Array* list = kinds->as_array();
    bool plain = list != nullptr;
    for (std::size_t i = 0; plain && i < list->size(); ++i) {
      plain = (*list)[i].as_text() != nullptr && *(*list)[i].as_text() == "full_attention";
    }
    if (!plain) {
      fields.wrong("layer_types", "expected a list of \"full_attention\" alone");
    }
  }
}

inline void read_gpt2(ConfigFields& fields, LanguageModelFacts& facts) {
  facts.causal = true;
  facts.width = fields.integer("n_embd", 1, widest);
  facts.layers = fields.integer("n_layer", 1, deepest);
  facts.heads = fields.integer("n_head", 1, most_heads);
  facts.inner = fields.integer("n_inner", 1, most_inner, 4 * facts.width);
  facts.positions = fields.integer("n_positions", 1, most_tokens, 1024);
  facts.epsilon = fields.number("layer_norm_epsilon", 1e-20, 1, 1e-5);
  facts.tied_head = fields.flag("tie_word_embeddings", true);
  facts.query_key_value_bias = true;
  const char* key = "activation_function";
  facts.activation = read_activation(fields, key, fields.word(key, "gelu_new"));
  if (facts.width % facts.heads != 0) {
    fields.refuse("n_embd", "a multiple of n_head " + std::to_string(facts.heads));
  }
  fields.require_flag("scale_attn_weights", true, "products are divided by the root of the width");
  fields.require_flag("scale_attn_by_inverse_layer_idx", false, "all layers scale alike");
  fields.require_flag("add_cross_attention", false, "there is no encoder to read");
}

inline void read_bert(ConfigFields& fields, LanguageModelFacts& facts) {
  facts.width = fields.integer("hidden_size", 1, widest);
  facts.layers = fields.integer("num_hidden_layers", 1, deepest);
  facts.heads = fields.integer("num_attention_heads", 1, most_heads);
  facts.inner = fields.integer("intermediate_size", 1, most_inner);
  facts.positions = fields.integer("max_position_embeddings", 1, most_tokens, 512);
  facts.token_types = fields.integer("type_vocab_size", 1, 1024, 2);
  facts.epsilon = fields.number("layer_norm_eps", 1e-20, 1, 1e-12);
  facts.tied_head = fields.flag("tie_word_embeddings", true);
  facts.query_key_value_bias = true;
  facts.activation = read_activation(fields, "hidden_act", fields.word("hidden_act", "gelu"));
  if (facts.width % facts.heads != 0) {
    fields.refuse("hidden_size",
                  "a multiple of num_attention_heads " + std::to_string(facts.heads));
  }
  fields.require_flag("is_decoder", false, "attention goes both ways");
  fields.require_flag("add_cross_attention", false, "there is no encoder to read");
  if (fields.word("position_embedding_type", "absolute") != "absolute") {
    fields.refuse("position_embedding_type", "absolute");
  }
}

inline void read_t5(ConfigFields& fields, LanguageModelFacts& facts) {
  facts.width = fields.integer("d_model", 1, widest);
  facts.layers = fields.integer("num_layers", 1, deepest);
  facts.heads = fields.integer("num_heads", 1, most_heads);
  facts.head_width = fields.integer("d_kv", 1, widest);
  facts.inner = fields.integer("d_ff", 1, most_inner);
  facts.decoder_layers = facts.architecture == "T5EncoderModel"
                             ? 0
                             : fields.integer("num_decoder_layers", 1, deepest, facts.layers);
  facts.buckets = fields.integer("relative_attention_num_buckets", 4, 65536, 32);
  facts.farthest = fields.integer("relative_attention_max_distance", 1, 1 << 20, 128);
  if (facts.farthest <= facts.buckets / 2) {
    fields.wrong("relative_attention_max_distance",
                 "expected more than half of relative_attention_num_buckets " +
                     std::to_string(facts.buckets) + ", found " + std::to_string(facts.farthest));
  }
  facts.epsilon = fields.number("layer_norm_epsilon", 1e-20, 1, 1e-6);
  facts.tied_head = fields.flag("tie_word_embeddings", true);
  facts.scaled_states = fields.flag("scale_decoder_outputs", facts.tied_head);
  std::string net = fields.word("feed_forward_proj", "relu");
  facts.gated = net.starts_with("gated-");
  net.erase(0, facts.gated ? 6 : 0);
  if (facts.gated && net == "gelu") {
    net = "gelu_new";  // the one form that is published under this name
  }
  facts.activation = read_activation(fields, "feed_forward_proj", net);
  const Index padding = fields.integer("pad_token_id", 0, facts.vocabulary - 1, 0);
  facts.decoder_start = fields.integer("decoder_start_token_id", 0, facts.vocabulary - 1, padding);
}

}  // namespace detail

/// Reads the text of a config.json.
///
/// Errors  DataError with file and field, expected and found: not JSON, another family or
///         architecture, an integer out of its range, a value of the wrong type, values that
///         contradict each other, and what would be another model than those computed here
inline Result<LanguageModelFacts> try_parse_model_config(std::string_view text,
                                                         const std::string& file = {}) {
  auto root = try_parse_config(text, file);
  if (!root) {
    return root.error();
  }
  Failure failure;
  ConfigFields fields(*root, file, failure);
  const LanguageArchitecture* architecture = detail::read_architecture(fields);
  if (architecture == nullptr) {
    return *std::move(failure);
  }
  LanguageModelFacts facts;
  facts.family = architecture->family;
  facts.architecture = architecture->name;
  facts.head = architecture->head;
  facts.vocabulary = fields.integer("vocab_size", 1, detail::most_tokens);
  facts.dtype = detail::read_dtype(fields);
  facts.end = detail::read_end(fields, facts.vocabulary);
  if (fields.has("quantization_config")) {
    fields.wrong("quantization_config", "quantised weights are not read");
  }
  switch (facts.family) {
  case LanguageFamily::qwen2:
  case LanguageFamily::qwen3:
  case LanguageFamily::llama:
    detail::read_rotary_decoder(*root, fields, file, failure, facts);
    break;
  case LanguageFamily::gpt2:
    detail::read_gpt2(fields, facts);
    break;
  case LanguageFamily::bert:
    detail::read_bert(fields, facts);
    break;
  case LanguageFamily::t5:
    detail::read_t5(fields, facts);
    break;
  }
  if (facts.key_value_heads == 0) {
    facts.key_value_heads = facts.heads;
  }
  if (facts.head_width == 0) {
    facts.head_width = facts.width / facts.heads;
  }
  if (failure) {
    return *std::move(failure);
  }
  return facts;
}

/// Reads a config.json.
///
/// Errors  IoError of the system; DataError as try_parse_model_config, and beyond 1 MiB
inline Result<LanguageModelFacts> try_read_model_config(const std::string& path) {
  const auto text = try_read_text(path, Index{1} << 20);
  if (!text) {
    return text.error();
  }
  return try_parse_model_config(text.value(), path);
}

inline LanguageModelFacts read_model_config(const std::string& path) {
  return try_read_model_config(path).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::io
