// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <simgr/core/rotary_angles.hpp>
#include <simgr/core/types.hpp>
#include <simgr/io/tensor.hpp>

namespace simgr::SIMGR_ABI::io {

/// Language models whose published folders are understood. T5 is every version of it, Llama 1 to 3.
enum class LanguageFamily { qwen2, qwen3, llama, gpt2, bert, t5 };
constexpr std::array<std::string_view, 6> names_of(LanguageFamily) {
  return {"qwen2", "qwen3", "llama", "gpt2", "bert", "t5"};
}

/// What a checkpoint has above its last states.
enum class LanguageHead {
  none,
  tokens,      // logits of tokens
  pretraining  // BERT: logits of tokens, and whether one text follows the other
};

/// Activation of the feed-forward nets, by the tags of core/op_tags.hpp.
enum class LanguageActivation { relu, gelu_erf, gelu_tanh, silu };
constexpr std::array<std::string_view, 4> names_of(LanguageActivation) {
  return {"relu", "gelu_erf", "gelu_tanh", "silu"};
}

/// What config.json says of a model, in one form for all families and for both forms of the file:
/// that of transformers 5 (`rope_parameters`, `dtype`) and that of 4 (`rope_theta`, `rope_scaling`,
/// `torch_dtype`). What a file leaves out is what its family takes it for.
struct LanguageModelFacts {
  LanguageFamily family = LanguageFamily::qwen2;
  std::string architecture;  // as the file names it: "Qwen2ForCausalLM"
  LanguageHead head = LanguageHead::none;
  Index width = 0, layers = 0;
  Index decoder_layers = 0;  // of T5 with a decoder; its encoder has `layers`
  Index heads = 0, key_value_heads = 0, head_width = 0;
  Index inner = 0;  // of the feed-forward nets
  Index vocabulary = 0;
  Index positions = 0;         // most tokens of a text; 0: no such bound (T5)
  double epsilon = 0;          // of the norms
  RotaryAngles angles{};       // of rotary positions
  bool causal = false;         // a decoder alone: tokens see those before them
  bool tied_head = false;      // logits are products with the table of tokens
  bool scaled_states = false;  // T5: states by width^-1/2 before the head
  bool query_key_value_bias = false;
  bool query_key_norm = false;  // of every head before it is rotated
  bool gated = false;           // the feed-forward nets
  LanguageActivation activation = LanguageActivation::silu;
  Index buckets = 0, farthest = 0;  // T5's distances
  Index token_types = 0;            // BERT's
  Index decoder_start = 0;          // T5: the token that a decoder reads first
  Index end = -1;                   // the token that ends a text; -1: config.json names none
  std::optional<Dtype> dtype;       // of the weights, where the file says it

  /// Whether what predicts a token of a text is another vector than what is read of it.
  bool untied() const noexcept { return causal && head == LanguageHead::tokens && !tied_head; }

  bool operator==(const LanguageModelFacts&) const = default;
};

/// One architecture that config.json may name.
struct LanguageArchitecture {
  std::string_view model_type, name;
  LanguageFamily family;
  LanguageHead head;
};

/// The first of a family is what a file means that names none.
inline constexpr LanguageArchitecture language_architectures[] = {
    {"qwen2", "Qwen2ForCausalLM", LanguageFamily::qwen2, LanguageHead::tokens},
    {"qwen2", "Qwen2Model", LanguageFamily::qwen2, LanguageHead::none},
    {"qwen3", "Qwen3ForCausalLM", LanguageFamily::qwen3, LanguageHead::tokens},
    {"qwen3", "Qwen3Model", LanguageFamily::qwen3, LanguageHead::none},
    {"llama", "LlamaForCausalLM", LanguageFamily::llama, LanguageHead::tokens},
    {"llama", "LlamaModel", LanguageFamily::llama, LanguageHead::none},
    {"gpt2", "GPT2LMHeadModel", LanguageFamily::gpt2, LanguageHead::tokens},
    {"gpt2", "GPT2Model", LanguageFamily::gpt2, LanguageHead::none},
    {"bert", "BertModel", LanguageFamily::bert, LanguageHead::none},
    {"bert", "BertForPreTraining", LanguageFamily::bert, LanguageHead::pretraining},
    {"bert", "BertForMaskedLM", LanguageFamily::bert, LanguageHead::tokens},
    {"t5", "T5ForConditionalGeneration", LanguageFamily::t5, LanguageHead::tokens},
    {"t5", "T5WithLMHeadModel", LanguageFamily::t5, LanguageHead::tokens},
    {"t5", "T5Model", LanguageFamily::t5, LanguageHead::none},
    {"t5", "T5EncoderModel", LanguageFamily::t5, LanguageHead::none},
};

}  // namespace simgr::SIMGR_ABI::io
