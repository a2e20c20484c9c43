// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <simgr/io/language_model_facts.hpp>
#include <simgr/nn/block.hpp>
#include <simgr/nn/relative_stack.hpp>
#include <simgr/nn/rotary_block.hpp>

// Layouts of models as their layers make them.

namespace simgr_test {

using namespace simgr;

/// A layout under construction.
struct Layout {
  ParameterTable table;
  simgr::detail::Describe note{table};

  void add(const std::string& name, Shape<2> shape) { note(Spec<2>{name, shape, Init::zeros()}); }
  void add(const std::string& name, Index size) { note(Spec<1>{name, {size}, Init::zeros()}); }
  template <class Layer>
  void add_layer(const typename Layer::Config& config, const std::string& name) {
    Layer::for_each_parameter(config, under(name, note));
  }
  ParameterTable done() {
    table.block_size = simgr::detail::aligned(table.block_size);
    return table;
  }
};

/// The stacks of T5.
template <class Net>
void add_t5(Layout& layout, const io::LanguageModelFacts& facts) {
  typename RelativeStack<Bidirectional, Net>::Config encoder{
      facts.width, facts.layers,  facts.heads,    facts.head_width,
      facts.inner, facts.buckets, facts.farthest, 0};
  layout.add_layer<RelativeStack<Bidirectional, Net>>(encoder, "encoder");
  if (facts.decoder_layers > 0) {
    typename RelativeStack<Causal, Net>::Config decoder{
        facts.width, facts.decoder_layers, facts.heads,    facts.head_width,
        facts.inner, facts.buckets,        facts.farthest, 0};
    layout.add_layer<RelativeStack<Causal, Net>>(decoder, "decoder");
  }
}

/// What a model of these facts has, with everything that its checkpoint has above the states.
/// Projection: Linear, or Lora<Linear> for the maps of rotary decoders
template <class Projection = Linear>
ParameterTable table_of(const io::LanguageModelFacts& facts, const std::string& prefix = "",
                        Index added_tokens = 0) {
  Layout layout;
  const auto block = [&](Index i) { return prefix + "blocks." + std::to_string(i); };
  const Shape<2> tokens{facts.vocabulary + added_tokens, facts.width};
  layout.add(prefix + "embedding.table", tokens);
  switch (facts.family) {
  case io::LanguageFamily::gpt2:
    layout.add(prefix + "position", {facts.positions, facts.width});
    for (Index i = 0; i < facts.layers; ++i) {
      layout.add_layer<TransformerBlock<Causal, PreNorm, GeluTanh>>(
          {facts.width, facts.heads, facts.inner}, block(i));
    }
    layout.add_layer<LayerNorm>({facts.width}, prefix + "final_norm");
    break;
  case io::LanguageFamily::bert:
    layout.add(prefix + "position", {facts.positions, facts.width});
    layout.add(prefix + "token_type", {facts.token_types, facts.width});
    layout.add_layer<LayerNorm>({facts.width}, prefix + "embedding_norm");
    for (Index i = 0; i < facts.layers; ++i) {
      layout.add_layer<TransformerBlock<Bidirectional, PostNorm, GeluErf>>(
          {facts.width, facts.heads, facts.inner}, block(i));
    }
    if (facts.head == io::LanguageHead::pretraining) {
      layout.add_layer<Linear>({facts.width, facts.width}, "pooler");
      layout.add_layer<Linear>({facts.width, facts.width}, "head.map");
      layout.add_layer<LayerNorm>({facts.width}, "head.norm");
      layout.add("head.bias", facts.vocabulary + added_tokens);
      layout.add_layer<Linear>({facts.width, 2}, "next_text");
    }
    break;
  case io::LanguageFamily::t5:
    facts.gated ? add_t5<FeedForward<GeluTanh, Gated>>(layout, facts)
                : add_t5<FeedForward<Relu>>(layout, facts);
    break;
  default:
    for (Index i = 0; i < facts.layers; ++i) {
      typename RotaryBlock<Projection>::Config config{};
      config.attention.width = facts.width;
      config.attention.heads = facts.heads;
      config.attention.kv_heads = facts.key_value_heads;
      config.attention.head_width = facts.head_width;
      config.attention.biased = facts.query_key_value_bias;
      config.attention.normed = facts.query_key_norm;
      config.inner = facts.inner;
      layout.add_layer<RotaryBlock<Projection>>(config, block(i));
    }
    layout.add_layer<RmsNorm>({facts.width}, prefix + "final_norm");
  }
  if (facts.head != io::LanguageHead::none && !facts.tied_head) {
    layout.add(prefix + "head.weight", tokens);
  }
  return layout.done();
}

}  // namespace simgr_test
