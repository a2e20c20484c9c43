// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/encoder/item_text_embedding.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/block.hpp>
#include <simgr/nn/block_stack.hpp>
#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// Two stacks of blocks read a history: one its items, one their features, and a map joins what both
/// say at each position.
///
///   x = dropout(norm(row(item_t) + position_t)),  z = dropout(norm(feature(item_t) + position_t))
///   states = dropout(norm(W (items' blocks(x), features' blocks(z)) + b))
///
/// Positions and the norm are the same in all three places.
///
/// @tparam F  activation of the feed-forward nets
///
/// Shapes      history packed, [tokens] -> states [tokens, width]
/// Parameters  embedding, position [max_length, width], norm;  items.i and features.i: blocks;
///             join.weight [width, 2 width], join.bias [width]
/// Cache       that of the parts
/// Cost        twice that of a TransformerEncoder, and O(tokens · 2 width²)
/// Errors      ConfigError if width % heads != 0; a longer history is a broken precondition
/// Source      Zhang et al. 2019 (FDSA), section 3; what is shared: RecBole's form of it
template <class F = GeluErf>
struct TwoStreamEncoder {
  using In = flow::History;
  using Out = flow::TokenStates;
  using EmbeddingType = ItemTextEmbedding;
  using Embedding = ItemTextEmbedding;
  using Block = TransformerBlock<Causal, PostNorm, F>;

  struct Config {
    Index width = 64, layers = 2, heads = 2;
    Index inner = 0;  // of the feed-forward nets; 0: 4 width
    Index max_length = 50;
    double dropout = 0.5, attention_dropout = 0.5;
    double epsilon = 1e-12;
    double deviation = 0.02;  // of the first values of all matrices
    Embedding::Config embedding{};
    CatalogueSizes catalogue{};

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"layers", 0, 1024, "blocks of each stream"}, c.layers);
      f(Field{"heads", 1, 1024, "attention heads; must divide the width"}, c.heads);
      f(Field{"inner", 0, 1 << 20, "width inside the feed-forward nets; 0: 4 width"}, c.inner);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that are read, the last ones"},
        c.max_length);
      f(Field{"dropout", 0, 0.99, "of embeddings, of what a block adds, of states"}, c.dropout);
      f(Field{"attention_dropout", 0, 0.99, "of attention probabilities"}, c.attention_dropout);
      f(Field{"epsilon", 0, 1, "of the norms"}, c.epsilon);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of the matrices"},
        c.deviation);
      fields_of("embedding", c.embedding, f);
    }
    Embedding::Shape embedding_shape() const { return {width, catalogue, embedding}; }
    typename Block::Config block() const {
      return {width,   heads, inner > 0 ? inner : 4 * width, dropout, attention_dropout,
              epsilon, true,  Init::normal(deviation)};
    }
    LayerNorm::Config norm() const { return {width, epsilon}; }
    Linear::Config join() const { return {2 * width, width, true, Init::normal(deviation)}; }
  };
  /// The first broken rule, or empty.
  static std::string check(const Config& c) {
    if (c.width % c.heads != 0) {
      return "encoder.heads: expected a divisor of encoder.width " + std::to_string(c.width) +
             ", found " + std::to_string(c.heads);
    }
    return {};
  }

  template <class T, class S = Host>
  struct Params {
    Embedding::Params<T, S> embedding;
    Matrix<T, S> position;
    LayerNorm::Params<T, S> norm;
    std::vector<typename Block::template Params<T, S>> items, features;
    Linear::Params<T, S> join;
  };
  template <class T, class S = Host>
  struct Cache {
    Offsets offsets;                             // [sequences + 1], in tokens
    std::span<const std::int32_t> rows;          // [2 tokens]: of items, then of features
    LayerNorm::Cache<T, S> inputs, states;       // the norm, where it stands
    std::uint32_t input_stream = 0, stream = 0;  // of random masks
    BlockCaches<typename Block::template Cache<T, S>, T, S> items, features;
    Linear::Cache<T, S> join;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    Embedding::for_each_parameter(c.embedding_shape(), under("embedding", f), p.embedding...);
    f(Spec<2>{"position", {c.max_length, c.width}, Init::normal(c.deviation)}, p.position...);
    LayerNorm::for_each_parameter(c.norm(), under("norm", f), p.norm...);
    resize_blocks(c.layers, p.items...);
    resize_blocks(c.layers, p.features...);
    for (Index i = 0; i < c.layers; ++i) {
      [[maybe_unused]] const auto at = static_cast<std::size_t>(i);
      Block::for_each_parameter(c.block(), under("items." + std::to_string(i), f), p.items[at]...);
      Block::for_each_parameter(c.block(), under("features." + std::to_string(i), f),
                                p.features[at]...);
    }
    Linear::for_each_parameter(c.join(), under("join", f), p.join...);
  }

  /// `rows` is what Embedding::rows gave for these parameters.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                              const ItemsView<S>& items, RaggedView<ItemId> history,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Index tokens = history.tokens();
    cache.offsets = history.offsets;
    const Vector<std::int32_t, S> read = ctx.template take<std::int32_t>(2 * tokens);
    for (Index t = 0; t < tokens; ++t) {
      read[t] = history.values[static_cast<std::size_t>(t)];
      read[tokens + t] = static_cast<std::int32_t>(read[t] + items.items);
    }
    cache.rows = std::span<const std::int32_t>(read.span());
    const Matrix<T, S> sum = ctx.template take<T>(2 * tokens, c.width);
    gather_rows(ctx, rows, cache.rows, sum);
    for_each_position(cache.offsets, [&](Index token, Index count) {
      SIMGR_ASSERT(count <= c.max_length, "history longer than max_length");
      copy(ctx, p.position.slice(0, count), sum.slice(token, count), Write::add);
    });
    const Matrix<T, S> x =
        LayerNorm::forward(c.norm(), p.norm, MatrixArg<T, S>(sum), cache.inputs, ctx);
    cache.input_stream = ctx.next_stream();
    dropout(ctx, x, static_cast<float>(c.dropout), cache.input_stream);

    const Matrix<T, S> both = ctx.template take<T>(tokens, 2 * c.width);
    const Matrix<T, S> of_items = forward_blocks(p.items.size(), false, x.slice(0, tokens),
                                                 cache.items, blocks(c, p.items, cache, ctx), ctx),
                       of_features =
                           forward_blocks(p.features.size(), false, x.slice(tokens, tokens),
                                          cache.features, blocks(c, p.features, cache, ctx), ctx);
    copy_to_columns(ctx, MatrixArg<T, S>(of_items), Columns<T, S>{both, 0});
    copy_to_columns(ctx, MatrixArg<T, S>(of_features), Columns<T, S>{both, c.width});
    const Matrix<T, S> joined =
        Linear::forward(c.join(), p.join, MatrixArg<T, S>(both), cache.join, ctx);
    const Matrix<T, S> y =
        LayerNorm::forward(c.norm(), p.norm, MatrixArg<T, S>(joined), cache.states, ctx);
    cache.stream = ctx.next_stream();
    dropout(ctx, y, static_cast<float>(c.dropout), cache.stream);
    return y;
  }

  /// Adds to `grad` and to `drows`, the gradient of the embedding's rows.
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S> drows, const Cache<T, S>& cache,
                       Ctx& ctx) {
    const Index tokens = dstates.rows();
    const Matrix<T, S> dy = ctx.template take<T>(tokens, c.width);
    copy(ctx, dstates, dy, Write::assign);
    dropout(ctx, dy, static_cast<float>(c.dropout), cache.stream);
    const Matrix<T, S> djoined =
        LayerNorm::backward(c.norm(), p.norm, grad.norm, MatrixArg<T, S>(dy), cache.states, ctx);
    const Matrix<T, S> dboth =
        Linear::backward(c.join(), p.join, grad.join, MatrixArg<T, S>(djoined), cache.join, ctx);
    const Matrix<T, S> dx = ctx.template take<T>(2 * tokens, c.width);
    for (Index t = 0; t < tokens; ++t) {
      copy(ctx, dboth.row(t).slice(0, c.width), dx.row(t), Write::assign);
      copy(ctx, dboth.row(t).slice(c.width, c.width), dx.row(tokens + t), Write::assign);
    }
    const auto through = [&](Index first, const auto& stream, const auto& gradients,
                             const auto& caches) {
      const Matrix<T, S> part = dx.slice(first, tokens);
      const Matrix<T, S> below = backward_blocks<typename Block::template Cache<T, S>, T, S>(
          part, caches, blocks(c, stream, cache, ctx),
          [&](std::size_t i, MatrixArg<T, S> dout, const auto& kept) {
            return Block::backward(c.block(), stream[i], gradients[i], dout, Packing(cache.offsets),
                                   kept, ctx);
          },
          ctx);
      copy(ctx, below, part, Write::assign);
    };
    through(0, p.items, grad.items, cache.items);
    through(tokens, p.features, grad.features, cache.features);
    dropout(ctx, dx, static_cast<float>(c.dropout), cache.input_stream);
    const Matrix<T, S> dsum =
        LayerNorm::backward(c.norm(), p.norm, grad.norm, MatrixArg<T, S>(dx), cache.inputs, ctx);
    for_each_position(cache.offsets, [&](Index token, Index count) {
      copy(ctx, dsum.slice(token, count), grad.position.slice(0, count), Write::add);
    });
    scatter_add_rows(ctx, dsum, cache.rows, T(1), drows);
  }

private:
  /// visit(first token, tokens) for every sequence of items, then of features.
  template <class Visit>
  static void for_each_position(Offsets offsets, Visit&& visit) {
    for (const Index before : {Index{0}, offsets.back()}) {
      for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
        visit(before + offsets[s], offsets[s + 1] - offsets[s]);
      }
    }
  }
  /// (i, x, cache of block i) -> what block i makes of x
  template <class Stream, class Kept, class Ctx>
  static auto blocks(const Config& c, const Stream& stream, const Kept& cache, Ctx& ctx) {
    return [&](std::size_t i, auto x, auto& kept) {
      return Block::forward(c.block(), stream[i], x, Packing(cache.offsets), kept, ctx);
    };
  }
};

}  // namespace simgr::SIMGR_ABI
