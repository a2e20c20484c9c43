// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <simgr/core/parameter.hpp>
#include <simgr/io/language_model_facts.hpp>
#include <simgr/io/tensor_plan.hpp>
#include <simgr/nn/block.hpp>
#include <simgr/nn/relative_stack.hpp>
#include <simgr/nn/rotary_block.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// The stacks of T5, and of its encoder alone.
template <class Net, class Walk>
void walk_t5(const LanguageModelFacts& facts, const std::string& prefix, Walk& walk) {
  using Reader = RelativeStack<Bidirectional, Net>;
  using Speller = RelativeStack<Causal, Net>;
  Reader::for_each_parameter({facts.width, facts.layers, facts.heads, facts.head_width, facts.inner,
                              facts.buckets, facts.farthest},
                             under(prefix + "encoder", walk));
  if (facts.decoder_layers > 0) {
    Speller::for_each_parameter({facts.width, facts.decoder_layers, facts.heads, facts.head_width,
                                 facts.inner, facts.buckets, facts.farthest},
                                under(prefix + "decoder", walk));
  }
}

}  // namespace detail

/// The layout of a whole model with these facts, as its layers make it: its tables, blocks and head.
///
/// @tparam Projection  the maps of Llama's and Qwen's blocks: Linear or Lora<Linear>
template <class Projection = Linear>
ParameterTable model_layout(const LanguageModelFacts& facts, const WeightOptions& options = {}) {
  std::vector<TensorEntry> tensors;
  simgr::detail::Describe walk{tensors};
  const std::string& prefix = options.prefix;
  const auto add = [&](const char* name, Shape<2> shape) {
    walk(Spec<2>{prefix + name, shape, Init::zeros()});
  };
  const auto add_layer = [&]<class Layer>(Layer, const typename Layer::Config& config,
                                          const std::string& name) {
    Layer::for_each_parameter(config, under(prefix + name, walk));
  };
  const auto add_blocks = [&]<class Block>(Block block, const typename Block::Config& config) {
    for (Index i = 0; i < facts.layers; ++i) {
      add_layer(block, config, "blocks." + std::to_string(i));
    }
  };
  const Index vocabulary = facts.vocabulary + options.added_tokens;
  add("embedding.table", {vocabulary, facts.width});
  switch (facts.family) {
  case LanguageFamily::gpt2:
    add("position", {facts.positions, facts.width});
    add_blocks(TransformerBlock<Causal, PreNorm, GeluTanh>{},
               {facts.width, facts.heads, facts.inner});
    add_layer(LayerNorm{}, {facts.width}, "final_norm");
    break;
  case LanguageFamily::bert:
    add("position", {facts.positions, facts.width});
    add("token_type", {facts.token_types, facts.width});
    add_layer(LayerNorm{}, {facts.width}, "embedding_norm");
    add_blocks(TransformerBlock<Bidirectional, PostNorm, GeluErf>{},
               {facts.width, facts.heads, facts.inner});
    if (facts.head != LanguageHead::none) {
      add_layer(Linear{}, {facts.width, facts.width}, "head.map");
      add_layer(LayerNorm{}, {facts.width}, "head.norm");
      walk(Spec<1>{prefix + "head.bias", {vocabulary}, Init::zeros()});
    }
    if (facts.head == LanguageHead::pretraining) {
      add_layer(Linear{}, {facts.width, facts.width}, "pooler");
      add_layer(Linear{}, {facts.width, 2}, "next_text");
    }
    break;
  case LanguageFamily::t5:
    facts.gated ? detail::walk_t5<FeedForward<GeluTanh, Gated>>(facts, prefix, walk)
                : detail::walk_t5<FeedForward<Relu>>(facts, prefix, walk);
    break;
  default: {
    typename RotaryBlock<Projection>::Config block{};
    block.attention.width = facts.width;
    block.attention.heads = facts.heads;
    block.attention.kv_heads = facts.key_value_heads;
    block.attention.head_width = facts.head_width;
    block.attention.biased = facts.query_key_value_bias;
    block.attention.normed = facts.query_key_norm;
    block.inner = facts.inner;
    add_blocks(RotaryBlock<Projection>{}, block);
    add_layer(RmsNorm{}, {facts.width}, "final_norm");
  }
  }
  if (facts.head != LanguageHead::none && !facts.tied_head) {
    add("head.weight", {vocabulary, facts.width});
  }
  return lay_out(std::move(tensors));
}

}  // namespace simgr::SIMGR_ABI::io
