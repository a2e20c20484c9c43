// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <simgr/core/fields.hpp>
#include <simgr/encoder/stack_encoder.hpp>
#include <simgr/nn/rotary_block.hpp>

namespace simgr::SIMGR_ABI {

/// The form of a decoder-only language model: blocks with rotary positions, RMS norms, no table of
/// positions.
template <class Projection>
struct RotaryForm {
  using Block = RotaryBlock<Projection>;
  using Norm = RmsNorm;
  static constexpr bool causal = true, places = false, adapted = has_adapters<Projection>;

  template <class Embedding>
  struct Config {
    Index width = 64, layers = 2, heads = 2, kv_heads = 2;
    Index head_width = 0;  // 0: width / heads
    Index inner = 0;       // of the gated nets; 0: 4 width
    Index max_length = 50;
    double dropout = 0, attention_dropout = 0;
    double epsilon = 1e-6;
    double deviation = 0.02;  // of the first values of all matrices
    bool biased = false;      // queries, keys and values: Qwen2
    bool head_norm = false;   // of queries and keys: Qwen3
    bool recompute = false;   // blocks in backward, instead of keeping what they computed
    RotaryAngles angles{};
    Adapters adapters{};
    typename Embedding::Config embedding{};
    CatalogueSizes catalogue{};

    static constexpr bool scale_embedding = false, embedding_norm = false, final_norm = true;

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"layers", 0, 1024, "blocks"}, c.layers);
      f(Field{"heads", 1, 1024, "attention heads"}, c.heads);
      f(Field{"kv_heads", 1, 1024, "heads of keys and values; must divide the heads"}, c.kv_heads);
      f(Field{"head_width", 0, 65536, "width of one head, even; 0: width / heads"}, c.head_width);
      f(Field{"inner", 0, 1 << 20, "width inside the gated nets; 0: 4 width"}, c.inner);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that are read, the last ones"},
        c.max_length);
      f(Field{"dropout", 0, 0.99, "of embeddings and of what a block adds"}, c.dropout);
      f(Field{"attention_dropout", 0, 0.99, "of attention probabilities"}, c.attention_dropout);
      f(Field{"epsilon", 0, 1, "of the norms"}, c.epsilon);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of the matrices"},
        c.deviation);
      f(Field{"biased", 0, 1, "biases of queries, keys and values (Qwen2)"}, c.biased);
      f(Field{"head_norm", 0, 1, "a norm of each query and key (Qwen3)"}, c.head_norm);
      f(Field{"recompute", 0, 1, "training in less memory: blocks are computed twice"},
        c.recompute);
      f(Field{"theta", 1, 1e12, "base of the rotary angles"}, c.angles.theta);
      f(Field{"rope_scaling", 1, 1e6, "slows slow waves down (Llama 3.1); 1: none"},
        c.angles.scaling);
      f(Field{"rope_low", 1e-6, 1e6, "waves in the original positions that are all slowed down"},
        c.angles.low);
      f(Field{"rope_high", 1e-6, 1e6, "waves from which on none is"}, c.angles.high);
      f(Field{"rope_original", 1, 1e9, "positions before scaling"}, c.angles.original);
      if constexpr (adapted) {
        fields_of_adapters(c.adapters, f);
        f(Field{"lora_gate", 0, 1, "of the gates of the nets"}, c.adapters.gate);
      }
      fields_of("embedding", c.embedding, f);
    }
    Index width_of_head() const { return head_width > 0 ? head_width : width / heads; }
    typename Embedding::Shape embedding_shape() const {
      return {width, catalogue, embedding, max_length, frozen_beside<Projection>(adapters)};
    }
    typename Block::Config block() const {
      return {{width, heads, kv_heads, width_of_head(), attention_dropout, biased, head_norm,
               epsilon, angles, Init::normal(deviation), adapters},
              inner > 0 ? inner : 4 * width,
              dropout};
    }
    RmsNorm::Config norm() const { return {width, epsilon, frozen_beside<Projection>(adapters)}; }
    Index positions() const { return tokens_of_items<Embedding>(max_length, embedding_shape()); }
  };
  /// The first broken rule, or empty.
  template <class Embedding>
  static std::string check(const Config<Embedding>& c) {
    if (c.head_width == 0 && c.width % c.heads != 0) {
      return "encoder.heads: expected a divisor of encoder.width " + std::to_string(c.width) +
             ", found " + std::to_string(c.heads);
    }
    if (c.heads % c.kv_heads != 0) {
      return "encoder.kv_heads: expected a divisor of encoder.heads " + std::to_string(c.heads) +
             ", found " + std::to_string(c.kv_heads);
    }
    if (c.width_of_head() % 2 != 0) {
      return "encoder.head_width: expected an even number, found " +
             std::to_string(c.width_of_head());
    }
    if (c.angles.scaling != 1 && c.angles.low >= c.angles.high) {
      return "encoder.rope_low: expected less than encoder.rope_high " +
             std::to_string(c.angles.high) + ", found " + std::to_string(c.angles.low);
    }
    return {};
  }
};

/// A decoder-only language model as an encoder of histories: Llama 2 and 3, Qwen2, 2.5 and 3, as
/// its numbers say. Over ItemEmbedding with tokens for items it is the language model itself.
///
/// @tparam Embedding   what a token looks like: SemanticEmbedding, ItemEmbedding …
/// @tparam Projection  Linear, Lora<Linear> to train adapters on a frozen base, or either with
///                     Narrow<Linear>, whose weights are kept as bf16
///
/// Errors      ConfigError: heads that are no multiple of kv_heads, an odd width of heads
template <class Embedding, class Projection = Linear>
struct CausalLm : StackEncoder<Embedding, RotaryForm<Projection>> {};

}  // namespace simgr::SIMGR_ABI
