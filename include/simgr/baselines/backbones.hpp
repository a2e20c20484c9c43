// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/prompt_embedding.hpp>
#include <simgr/encoder/transformer.hpp>

namespace simgr::SIMGR_ABI::baselines {

// Published language models as encoders of prompts; io::Backbone opens their folders.

/// Qwen2, Qwen2.5, Qwen3, Llama 2 and 3: all weights trained, adapters on a frozen model, or a frozen
/// model alone, as its Adapters say. Digits of semantic ids are always trained.
using DecoderLm = CausalLm<PromptEmbedding, Lora<Linear>>;
/// The same with a frozen model in bfloat16, half the memory; for adapters and for digits alone.
using NarrowDecoderLm = CausalLm<NarrowPromptEmbedding, Lora<Narrow<Linear>>>;
using Gpt2 = TransformerEncoder<PromptEmbedding, Causal, PreNorm, GeluTanh>;
/// BERT and MiniLM. CausalBert is the same weights with tokens that see the past alone, so that it
/// can spell items.
using Bert = TransformerEncoder<PromptEmbedding, Bidirectional, PostNorm, GeluErf>;
using CausalBert = TransformerEncoder<PromptEmbedding, Causal, PostNorm, GeluErf>;
/// The same with adapters; files name them apart, because theirs are other tensors.
using AdaptedGpt2 = AdaptedTransformer<PromptEmbedding, Causal, PreNorm, GeluTanh>;
using AdaptedBert = AdaptedTransformer<PromptEmbedding, Bidirectional, PostNorm, GeluErf>;
using AdaptedCausalBert = AdaptedTransformer<PromptEmbedding, Causal, PostNorm, GeluErf>;

/// For fine-tuning: the sizes are the folder's, rates those usual for language models.
template <class Model>
inline constexpr Defaults<Model> over_language_model = [] {
  Defaults<Model> defaults;
  defaults.model.encoder.max_length = 20;
  if constexpr (requires { defaults.model.similarity.temperature; }) {
    defaults.model.similarity.temperature = 0.07;
  }
  if constexpr (requires { defaults.model.encoder.adapters; }) {
    constexpr bool narrow = std::is_same_v<typename Model::EncoderType, NarrowDecoderLm>;
    defaults.model.encoder.adapters.rank = 0;
    defaults.model.encoder.adapters.frozen = narrow;
  }
  defaults.fit = {.epochs = 4,
                  .batch = 64,
                  .per_user = 1,
                  .clip = 1,
                  .optimizer = {.rate = 3e-4, .weight_decay = 0.01},
                  .schedule = {.kind = train::Schedule::cosine, .warmup = 0.1}};
  if constexpr (Model::learns_neighbours) {
    defaults.fit.collaborative = defaults.fit.semantic = 0;  // until they are asked for
  }
  defaults.space = "optimizer.rate=5e-5..1e-3:log,optimizer.weight_decay=1e-4..0.1:log";
  return defaults;
}();

}  // namespace simgr::SIMGR_ABI::baselines
