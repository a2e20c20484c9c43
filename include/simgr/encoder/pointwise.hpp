// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <simgr/core/fields.hpp>
#include <simgr/encoder/stack_encoder.hpp>
#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/pointwise_aggregation.hpp>

namespace simgr::SIMGR_ABI {

/// The form of a stack of HSTU's blocks, which read no times: a history does not carry them.
struct PointwiseForm {
  using Block = PointwiseAggregation;
  using Norm = LayerNorm;
  static constexpr bool causal = true, places = true, adapted = false;

  template <class Embedding>
  struct Config {
    Index width = 64, layers = 2, heads = 2;
    Index asked = 0, given = 0;  // widths of a head; 0: width / heads
    Index max_length = 50;
    double dropout = 0.2;
    double epsilon = 1e-6;
    double deviation = 0.02;  // of the first values of all matrices
    bool scale_embedding = true;
    bool embedding_norm = false;
    bool final_norm = false;
    bool recompute = false;  // blocks in backward, instead of keeping what they computed
    typename Embedding::Config embedding{};
    CatalogueSizes catalogue{};

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"layers", 0, 1024, "blocks"}, c.layers);
      f(Field{"heads", 1, 1024, "attention heads"}, c.heads);
      f(Field{"asked", 0, 65536, "width of a head's queries and keys; 0: width / heads"}, c.asked);
      f(Field{"given", 0, 65536, "width of a head's values; 0: width / heads"}, c.given);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that are read, the last ones"},
        c.max_length);
      f(Field{"dropout", 0, 0.99, "of embeddings and of what a block adds"}, c.dropout);
      f(Field{"epsilon", 0, 1, "of the norms"}, c.epsilon);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of the matrices"},
        c.deviation);
      f(Field{"scale_embedding", 0, 1, "multiply embeddings by sqrt(width)"}, c.scale_embedding);
      f(Field{"embedding_norm", 0, 1, "a norm before the first block"}, c.embedding_norm);
      f(Field{"final_norm", 0, 1, "a norm after the last block"}, c.final_norm);
      f(Field{"recompute", 0, 1, "training in less memory: blocks are computed twice"},
        c.recompute);
      fields_of("embedding", c.embedding, f);
    }
    typename Embedding::Shape embedding_shape() const { return {width, catalogue, embedding}; }
    Block::Config block() const {
      return {.width = width,
              .heads = heads,
              .asked = asked > 0 ? asked : width / heads,
              .given = given > 0 ? given : width / heads,
              .places = positions(),
              .dropout = dropout,
              .epsilon = epsilon,
              .init = Init::normal(deviation)};
    }
    LayerNorm::Config norm() const { return {width, epsilon}; }
    static constexpr bool frozen() { return false; }  // no adapters, all is trained
    Index positions() const { return tokens_of_items<Embedding>(max_length, embedding_shape()); }
    static constexpr Index first_position(Index before, Index) { return before; }
  };
  /// The first broken rule, or empty.
  template <class Embedding>
  static std::string check(const Config<Embedding>& c) {
    if ((c.asked == 0 || c.given == 0) && c.width % c.heads != 0) {
      return "encoder.heads: expected a divisor of encoder.width " + std::to_string(c.width) +
             ", or encoder.asked and encoder.given, found " + std::to_string(c.heads);
    }
    return {};
  }
};

/// HSTU: a stack of pointwise aggregation over the items of a history.
///
/// Errors      ConfigError if width % heads != 0 where no width of a head is given
template <class Embedding>
struct PointwiseEncoder : StackEncoder<Embedding, PointwiseForm> {};

}  // namespace simgr::SIMGR_ABI
