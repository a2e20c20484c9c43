// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/masked_lm.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/io/language_model_facts.hpp>
#include <simgr/io/model_weights.hpp>

// Which encoder reads which published language model. A BackboneForm<E> is a type with
//
//   families                         of published models that it reads
//   configure(facts, config)         -> what is wrong, or nothing
//   try_load(folder, facts, table, block, seed, prefix)
//                                    the weights of a folder into a block, and first values of all
//                                    tensors that it does not have

namespace simgr::SIMGR_ABI::io {

template <class E>
struct BackboneForm;

namespace detail {

inline Failure require_family(const LanguageModelFacts& facts,
                              std::span<const LanguageFamily> families,
                              LanguageActivation activation) {
  const auto of = [](auto value) {
    return std::string(names_of(value)[static_cast<std::size_t>(value)]);
  };
  if (std::find(families.begin(), families.end(), facts.family) != families.end() &&
      facts.activation == activation) {
    return std::nullopt;
  }
  std::string expected;
  for (const LanguageFamily family : families) {
    expected += (expected.empty() ? "" : " or ") + of(family);
  }
  return ConfigError("expected a model of the family " + expected + " with the activation " +
                     of(activation) + ", found " + of(facts.family) + " with " +
                     of(facts.activation));
}

/// No prompt is longer than texts of the language model were.
template <class Config>
void limit_prompts(const LanguageModelFacts& facts, Config& c) {
  if constexpr (requires { c.embedding.longest; }) {
    c.embedding.longest = std::min(c.embedding.longest, facts.positions);
  }
}

/// Loads what a checkpoint has of the tensors with the prefix.
inline Failure load_backbone(const ModelFolder& folder, const LanguageModelFacts& facts,
                             const ParameterTable& table, std::span<float> block,
                             std::uint64_t seed, std::string_view prefix) {
  const WeightOptions options{.prefix = std::string(prefix)};
  auto plan = try_plan_tensors(folder, facts, table, options);
  if (!plan) {
    return plan.error();
  }
  for (const TensorEntry& tensor : table.tensors) {
    const bool loaded = std::any_of(plan->begin(), plan->end(), [&](const PlannedTensor& planned) {
      return planned.offset >= tensor.offset && planned.offset < tensor.offset + tensor.size;
    });
    if (!loaded) {
      initialise_tensor(tensor, block.data() + tensor.offset, seed);
    }
  }
  return try_load_parameters(folder, facts, table, block, options);
}

}  // namespace detail

/// Qwen2, Qwen2.5, Qwen3, Llama 2 and 3.
template <class Embedding, class Projection>
struct BackboneForm<CausalLm<Embedding, Projection>> {
  static constexpr LanguageFamily families[] = {LanguageFamily::qwen2, LanguageFamily::qwen3,
                                                LanguageFamily::llama};

  static Failure configure(const LanguageModelFacts& facts,
                           typename CausalLm<Embedding, Projection>::Config& c) {
    if (Failure failure = detail::require_family(facts, families, LanguageActivation::silu)) {
      return failure;
    }
    c.width = facts.width;
    c.layers = facts.layers;
    c.heads = facts.heads;
    c.kv_heads = facts.key_value_heads;
    c.head_width = facts.head_width;
    c.inner = facts.inner;
    c.epsilon = facts.epsilon;
    c.biased = facts.query_key_value_bias;
    c.head_norm = facts.query_key_norm;
    c.angles = facts.angles;
    detail::limit_prompts(facts, c);
    return std::nullopt;
  }
  static Failure try_load(const ModelFolder& folder, const LanguageModelFacts& facts,
                          const ParameterTable& table, std::span<float> block, std::uint64_t seed,
                          std::string_view prefix) {
    return detail::load_backbone(folder, facts, table, block, seed, prefix);
  }
};

namespace detail {

/// Of encoders with a table of positions.
template <class E, LanguageFamily family, LanguageActivation activation>
struct PlacedBackbone {
  static constexpr LanguageFamily families[] = {family};

  static Failure configure(const LanguageModelFacts& facts, typename E::Config& c) {
    if (Failure failure = require_family(facts, families, activation)) {
      return failure;
    }
    c.width = facts.width;
    c.layers = facts.layers;
    c.heads = facts.heads;
    c.inner = facts.inner;
    c.epsilon = facts.epsilon;
    c.places = facts.positions;
    c.dropout = c.attention_dropout = 0;
    limit_prompts(facts, c);
    return std::nullopt;
  }
};

}  // namespace detail

/// BERT and MiniLM as a reader of texts, whose tensors are the folder's.
template <>
struct BackboneForm<MaskedLm<>> {
  static constexpr LanguageFamily families[] = {LanguageFamily::bert};

  static Failure configure(const LanguageModelFacts& facts, MaskedLm<>::Config& c) {
    c = {.vocabulary = facts.vocabulary,
         .positions = facts.positions,
         .types = facts.token_types,
         .width = facts.width,
         .layers = facts.layers,
         .heads = facts.heads,
         .inner = facts.inner,
         .dropout = 0,
         .attention_dropout = 0,
         .epsilon = facts.epsilon};
    return detail::require_family(facts, families, LanguageActivation::gelu_erf);
  }
};

namespace detail {

template <class E>
struct GptBackbone : PlacedBackbone<E, LanguageFamily::gpt2, LanguageActivation::gelu_tanh> {
  static Failure try_load(const ModelFolder& folder, const LanguageModelFacts& facts,
                          const ParameterTable& table, std::span<float> block, std::uint64_t seed,
                          std::string_view prefix) {
    return detail::load_backbone(folder, facts, table, block, seed, prefix);
  }
};

}  // namespace detail

/// GPT-2, with adapters or without.
template <class Embedding>
struct BackboneForm<TransformerEncoder<Embedding, Causal, PreNorm, GeluTanh>>
    : detail::GptBackbone<TransformerEncoder<Embedding, Causal, PreNorm, GeluTanh>> {};
template <class Embedding>
struct BackboneForm<AdaptedTransformer<Embedding, Causal, PreNorm, GeluTanh>>
    : detail::GptBackbone<AdaptedTransformer<Embedding, Causal, PreNorm, GeluTanh>> {};

namespace detail {

/// All tokens of a text are of one type, whose vector becomes a part of the positions.
template <class E>
struct BertBackbone : PlacedBackbone<E, LanguageFamily::bert, LanguageActivation::gelu_erf> {
  /// Cost  the weights once more in memory while it runs
  static Failure try_load(const ModelFolder& folder, const LanguageModelFacts& facts,
                          const ParameterTable& table, std::span<float> block, std::uint64_t seed,
                          std::string_view prefix) {
    MaskedLm<>::Config config;
    if (Failure failure = BackboneForm<MaskedLm<>>::configure(facts, config)) {
      return failure;
    }
    const ParameterTable published = describe<MaskedLm<>>(config);
    std::vector<float> weights(static_cast<std::size_t>(published.block_size));
    if (Failure failure =
            try_load_parameters(folder, facts, published, std::span<float>(weights))) {
      return failure;
    }
    const auto find = [&](std::string_view name) {
      return std::find_if(published.tensors.begin(), published.tensors.end(),
                          [&](const TensorEntry& tensor) { return tensor.name == name; });
    };
    const float* type = weights.data() + find("token_type")->offset;
    for (const TensorEntry& tensor : table.tensors) {
      float* to = block.data() + tensor.offset;
      const bool ours = tensor.name.starts_with(prefix);
      const auto from =
          ours ? find(without_base(tensor.name.substr(prefix.size()))) : published.tensors.end();
      if (from == published.tensors.end()) {
        initialise_tensor(tensor, to, seed);
        continue;
      }
      if (from->shape != tensor.shape) {
        return ShapeError("expected " + shape_text(tensor.shape) + ", the model has " +
                              shape_text(from->shape),
                          {.file = folder.name(), .field = tensor.name});
      }
      std::copy_n(weights.data() + from->offset, tensor.size, to);
      if (from->name == "position") {
        for (Index i = 0; i < tensor.size; ++i) { to[i] += type[i % facts.width]; }
      }
    }
    return std::nullopt;
  }
};

}  // namespace detail

/// BERT and MiniLM, with adapters or without; under Causal, with tokens that see the past alone.
template <class Embedding, class Mask>
struct BackboneForm<TransformerEncoder<Embedding, Mask, PostNorm, GeluErf>>
    : detail::BertBackbone<TransformerEncoder<Embedding, Mask, PostNorm, GeluErf>> {};
template <class Embedding, class Mask>
struct BackboneForm<AdaptedTransformer<Embedding, Mask, PostNorm, GeluErf>>
    : detail::BertBackbone<AdaptedTransformer<Embedding, Mask, PostNorm, GeluErf>> {};

}  // namespace simgr::SIMGR_ABI::io
