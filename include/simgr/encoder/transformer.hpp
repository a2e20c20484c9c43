// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <type_traits>

#include <simgr/core/fields.hpp>
#include <simgr/encoder/stack_encoder.hpp>
#include <simgr/nn/block.hpp>

namespace simgr::SIMGR_ABI {

/// The form of a stack with a table of positions and layer norms: SASRec, GPT-2, BERT.
template <class Mask, class Placement, class F, class Projection = Linear>
struct PlacedForm {
  using Block = TransformerBlock<Mask, Placement, F, Projection>;
  using Norm = LayerNorm;
  static constexpr bool causal = std::is_same_v<Mask, Causal>, places = true,
                        adapted = has_adapters<Projection>;
  /// GPT-2 has one map of queries, keys and values, BERT three.
  static constexpr Adapters usual_adapters = [] {
    Adapters adapters;
    adapters.joint = std::is_same_v<Placement, PreNorm>;
    adapters.query = adapters.key = adapters.value = !adapters.joint;
    return adapters;
  }();

  template <class Embedding>
  struct Config {
    Index width = 64, layers = 2, heads = 2;
    Index inner = 0;  // of the feed-forward nets; 0: 4 width
    Index max_length = 50;
    Index places = 0;          // rows of the table of positions; 0: as many as max_length needs
    bool left_padded = false;  // the last item of any history stands at the last position
    double dropout = 0.2, attention_dropout = 0.2;
    double residual_dropout = -1;  // of what a block adds; -1: as dropout
    double epsilon = 1e-5;
    double deviation = 0.02;       // of the first values of all matrices
    bool scale_embedding = false;  // by sqrt(width), as SASRec's own code
    bool embedding_norm = std::is_same_v<Placement, PostNorm>;
    bool final_norm = !std::is_same_v<Placement, PostNorm>;
    bool projected = true;
    bool recompute = false;  // blocks in backward, instead of keeping what they computed
    typename Embedding::Config embedding{};
    CatalogueSizes catalogue{};
    Adapters adapters = usual_adapters;

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"layers", 0, 1024, "blocks"}, c.layers);
      if constexpr (!Block::filters) {
        f(Field{"heads", 1, 1024, "attention heads; must divide the width"}, c.heads);
      }
      f(Field{"inner", 0, 1 << 20, "width inside the feed-forward nets; 0: 4 width"}, c.inner);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that are read, the last ones"},
        c.max_length);
      f(Field{"places", 0, 1 << 20, "positions there are; 0: as many as max_length needs"},
        c.places);
      f(Field{"left_padded", 0, 1, "positions count so that the last item stands at the last one"},
        c.left_padded);
      f(Field{"dropout", 0, 0.99, "of embeddings and of what a block adds"}, c.dropout);
      f(Field{"residual_dropout", -1, 0.99, "of what a block adds; -1: as dropout"},
        c.residual_dropout);
      if constexpr (!Block::filters) {
        f(Field{"attention_dropout", 0, 0.99, "of attention probabilities"}, c.attention_dropout);
      }
      f(Field{"epsilon", 0, 1, "of the norms"}, c.epsilon);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of the matrices"},
        c.deviation);
      f(Field{"scale_embedding", 0, 1, "multiply embeddings by sqrt(width)"}, c.scale_embedding);
      f(Field{"embedding_norm", 0, 1, "a norm before the first block"}, c.embedding_norm);
      f(Field{"final_norm", 0, 1, "a norm after the last block"}, c.final_norm);
      if constexpr (!Block::filters) {
        f(Field{"projected", 0, 1, "an output map in attention"}, c.projected);
      }
      f(Field{"recompute", 0, 1, "training in less memory: blocks are computed twice"},
        c.recompute);
      if constexpr (adapted) {
        fields_of_adapters(c.adapters, f);
        f(Field{"lora_joint", 0, 1, "one adapter of queries, keys and values together"},
          c.adapters.joint);
      }
      fields_of("embedding", c.embedding, f);
    }
    typename Embedding::Shape embedding_shape() const {
      return {width, catalogue, embedding, 0, frozen()};
    }
    typename Block::Config block() const {
      return {.width = width,
              .heads = heads,
              .inner = inner > 0 ? inner : 4 * width,
              .dropout = residual_dropout < 0 ? dropout : residual_dropout,
              .attention_dropout = attention_dropout,
              .epsilon = epsilon,
              .projected = projected,
              .init = Init::normal(deviation),
              .places = positions(),
              .adapters = adapters};
    }
    LayerNorm::Config norm() const {
      return {.width = width, .epsilon = epsilon, .frozen = frozen()};
    }
    /// Whether positions and norms stay as they are.
    bool frozen() const { return frozen_beside<Projection>(adapters); }
    Index positions() const {
      return places > 0 ? places : tokens_of_items<Embedding>(max_length, embedding_shape());
    }
    /// The position of a history's first token, of `read`, behind `before` that histories share.
    Index first_position(Index before, Index read) const {
      if (!left_padded) {
        return before;
      }
      const Index end = positions() - (Embedding::tokens_per_item(embedding_shape()) - 1);
      SIMGR_ASSERT(read <= end, "history longer than max_length");
      return end - read;
    }
  };
  /// The first broken rule, or empty.
  template <class Embedding>
  static std::string check(const Config<Embedding>& c) {
    const Index needed = tokens_of_items<Embedding>(c.max_length, c.embedding_shape());
    if (c.catalogue.items > 0 && c.positions() < needed) {
      return "encoder.places: expected at least " + std::to_string(needed) +
             ", the tokens of the longest history, found " + std::to_string(c.places);
    }
    if constexpr (requires { Embedding::reads_prompt; }) {
      if (c.left_padded) {
        return "encoder.left_padded: expected 0 where histories are parts of prompts, found 1";
      }
    }
    if (!Block::filters && c.width % c.heads != 0) {
      return "encoder.heads: expected a divisor of encoder.width " + std::to_string(c.width) +
             ", found " + std::to_string(c.heads);
    }
    return {};
  }
};

/// A stack of transformer blocks over the items of a history, which know places by a trained table.
///
/// @tparam Embedding   what a token looks like: ItemEmbedding, SemanticEmbedding or
///                     PooledDigitEmbedding<P>
/// @tparam Mask        Causal, Bidirectional or Filtered
/// @tparam Placement   PreNorm, PostNorm or QueryNorm
/// @tparam F           activation of the feed-forward nets
///
/// Errors      ConfigError if width % heads != 0
template <class Embedding, class Mask, class Placement = PreNorm, class F = GeluTanh>
struct TransformerEncoder : StackEncoder<Embedding, PlacedForm<Mask, Placement, F>> {};

/// The same with adapters on its maps, over weights that may stay as they are: GPT-2 and BERT. PreNorm
/// begins with one adapter for queries, keys and values together, PostNorm with one each, as the two
/// are published.
///
/// Errors      ConfigError if width % heads != 0
template <class Embedding, class Mask, class Placement = PreNorm, class F = GeluTanh>
struct AdaptedTransformer : StackEncoder<Embedding, PlacedForm<Mask, Placement, F, Lora<Linear>>> {
};

}  // namespace simgr::SIMGR_ABI
