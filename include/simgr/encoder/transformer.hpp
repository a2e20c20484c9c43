// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/block.hpp>

namespace simgr::SIMGR_ABI {

/// A stack of transformer blocks over the items of a history.
///
///   x_t = dropout(norm?(scale · row(item_t) + position_t));   x = block(… block(x));
///   states = norm?(x)
///
/// @tparam Embedding   what a token looks like: ItemEmbedding, SemanticEmbedding or
///                     PooledDigitEmbedding<P>
/// @tparam Mask        Causal or Bidirectional
/// @tparam Placement   PreNorm, PostNorm or QueryNorm
/// @tparam F           activation of the feed-forward nets
///
/// Shapes      history packed, [tokens] items -> states [tokens · tokens_per_item, width]
/// Parameters  embedding, position [max_length · tokens_per_item, width], blocks.i, norms
/// Positions   count from the first item of the history that is passed, from 0
/// Errors      ConfigError if width % heads != 0; a history longer than max_length is a broken
///             precondition: the batcher cuts it to its last max_length items
template <class Embedding, class Mask, class Placement = PreNorm, class F = GeluTanh>
struct TransformerEncoder {
  using In = flow::History;
  using Out = flow::TokenStates;
  using EmbeddingType = Embedding;
  using Block = TransformerBlock<Mask, Placement, F>;

  struct Config {
    Index width = 64, layers = 2, heads = 2;
    Index inner = 0;  // of the feed-forward nets; 0: 4 width
    Index max_length = 50;
    double dropout = 0.2, attention_dropout = 0.2;
    double epsilon = 1e-5;
    double deviation = 0.02;       // of the first values of all matrices
    bool scale_embedding = false;  // by sqrt(width), as SASRec's own code
    bool embedding_norm = std::is_same_v<Placement, PostNorm>;
    bool final_norm = !std::is_same_v<Placement, PostNorm>;
    bool projected = true;
    typename Embedding::Config embedding{};
    CatalogueSizes catalogue{};

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"layers", 0, 1024, "blocks"}, c.layers);
      f(Field{"heads", 1, 1024, "attention heads; must divide the width"}, c.heads);
      f(Field{"inner", 0, 1 << 20, "width inside the feed-forward nets; 0: 4 width"}, c.inner);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that are read, the last ones"},
        c.max_length);
      f(Field{"dropout", 0, 0.99, "of embeddings and of what a block adds"}, c.dropout);
      f(Field{"attention_dropout", 0, 0.99, "of attention probabilities"}, c.attention_dropout);
      f(Field{"epsilon", 0, 1, "of the norms"}, c.epsilon);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of the matrices"},
        c.deviation);
      f(Field{"scale_embedding", 0, 1, "multiply embeddings by sqrt(width)"}, c.scale_embedding);
      f(Field{"embedding_norm", 0, 1, "a norm before the first block"}, c.embedding_norm);
      f(Field{"final_norm", 0, 1, "a norm after the last block"}, c.final_norm);
      f(Field{"projected", 0, 1, "an output map in attention"}, c.projected);
      fields_of("embedding", c.embedding, f);
    }
    typename Embedding::Shape embedding_shape() const { return {width, catalogue, embedding}; }
    typename Block::Config block() const {
      return {width,   heads,     inner > 0 ? inner : 4 * width, dropout, attention_dropout,
              epsilon, projected, Init::normal(deviation)};
    }
    LayerNorm::Config norm() const { return {width, epsilon}; }
    Index positions() const { return max_length * Embedding::tokens_per_item(catalogue); }
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
    typename Embedding::template Params<T, S> embedding;
    Matrix<T, S> position;
    LayerNorm::Params<T, S> embedding_norm, final_norm;
    std::vector<typename Block::template Params<T, S>> blocks;
  };
  template <class T, class S = Host>
  struct Cache {
    std::span<const std::int32_t> token_rows;  // [tokens]: what each token reads
    Offsets offsets;                           // [sequences + 1], in tokens
    std::uint32_t stream = 0;
    LayerNorm::Cache<T, S> embedding_norm, final_norm;
    std::vector<typename Block::template Cache<T, S>> blocks;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    Embedding::for_each_parameter(c.embedding_shape(), under("embedding", f), p.embedding...);
    f(Spec<2>{"position", {c.positions(), c.width}, Init::normal(c.deviation)}, p.position...);
    if (c.embedding_norm) {
      LayerNorm::for_each_parameter(c.norm(), under("embedding_norm", f), p.embedding_norm...);
    }
    resize_blocks(c.layers, p.blocks...);
    for (Index i = 0; i < c.layers; ++i) {
      Block::for_each_parameter(c.block(), under("blocks." + std::to_string(i), f),
                                p.blocks[static_cast<std::size_t>(i)]...);
    }
    if (c.final_norm) {
      LayerNorm::for_each_parameter(c.norm(), under("final_norm", f), p.final_norm...);
    }
  }

  /// `rows` is what Embedding::rows gave for these parameters.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                              const ItemsView<S>& items, RaggedView<ItemId> history,
                              Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> x = embed(c, p, rows, items, history, cache, ctx);
    for (std::size_t i = 0; i < p.blocks.size(); ++i) {
      x = Block::forward(c.block(), p.blocks[i], x, cache.offsets, cache.blocks[i], ctx);
    }
    return c.final_norm ? LayerNorm::forward(c.norm(), p.final_norm, x, cache.final_norm, ctx) : x;
  }

  /// The states of the last positions alone, for serving: the last block computes nothing else.
  /// -> [sequences, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                   const ItemsView<S>& items, RaggedView<ItemId> history,
                                   Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> x = embed(c, p, rows, items, history, cache, ctx);
    const Vector<std::int32_t, S> ends = ctx.template take<std::int32_t>(history.sequences());
    for (Index s = 0; s < ends.size(); ++s) {
      ends[s] = static_cast<std::int32_t>(cache.offsets[static_cast<std::size_t>(s) + 1] - 1);
    }
    const std::span<const std::int32_t> last(ends.span());
    for (std::size_t i = 0; i + 1 < p.blocks.size(); ++i) {
      x = Block::forward(c.block(), p.blocks[i], x, cache.offsets, cache.blocks[i], ctx);
    }
    if (p.blocks.empty()) {
      const Matrix<T, S> states = ctx.template take<T>(ends.size(), c.width);
      gather_rows(ctx, x, last, states);
      x = states;
    } else {
      x = Block::forward_last(c.block(), p.blocks.back(), x, cache.offsets, last,
                              cache.blocks.back(), ctx);
    }
    return c.final_norm ? LayerNorm::forward(c.norm(), p.final_norm, x, cache.final_norm, ctx) : x;
  }

  /// Adds to `grad` and to `drows`, the gradient of the embedding's rows.
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S> drows, const Cache<T, S>& cache,
                       Ctx& ctx) {
    MatrixArg<T, S> dx = dstates;
    if (c.final_norm) {
      dx = LayerNorm::backward(c.norm(), p.final_norm, grad.final_norm, dx, cache.final_norm, ctx);
    }
    for (std::size_t i = p.blocks.size(); i-- > 0;) {
      dx = Block::backward(c.block(), p.blocks[i], grad.blocks[i], dx, cache.offsets,
                           cache.blocks[i], ctx);
    }
    Matrix<T, S> dinput = ctx.template take<T>(dx.rows(), dx.cols());
    copy(ctx, dx, dinput, Write::assign);
    dropout(ctx, dinput, static_cast<float>(c.dropout), cache.stream);
    if (c.embedding_norm) {
      dinput = LayerNorm::backward(c.norm(), p.embedding_norm, grad.embedding_norm, dinput,
                                   cache.embedding_norm, ctx);
    }
    for (std::size_t s = 0; s + 1 < cache.offsets.size(); ++s) {
      const Index first = cache.offsets[s], length = cache.offsets[s + 1] - first;
      copy(ctx, dinput.slice(first, length), grad.position.slice(0, length), Write::add);
    }
    scatter_add_rows(ctx, dinput, cache.token_rows,
                     c.scale_embedding ? std::sqrt(static_cast<T>(c.width)) : T(1), drows);
  }

private:
  /// The input of the first block.
  template <class T, class S, class Ctx>
  static Matrix<T, S> embed(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                            const ItemsView<S>& items, RaggedView<ItemId> history,
                            Cache<T, S>& cache, Ctx& ctx) {
    lay_out_tokens(c, items, history, cache, ctx);
    const auto tokens = static_cast<Index>(cache.token_rows.size());
    Matrix<T, S> x = ctx.template take<T>(tokens, c.width);
    gather_rows(ctx, rows, cache.token_rows, x);
    if (c.scale_embedding) {
      scale(ctx, x, std::sqrt(static_cast<T>(c.width)));
    }
    for (std::size_t s = 0; s + 1 < cache.offsets.size(); ++s) {
      const Index first = cache.offsets[s], length = cache.offsets[s + 1] - first;
      SIMGR_ASSERT(length <= c.positions(), "history longer than max_length");
      copy(ctx, p.position.slice(0, length), x.slice(first, length), Write::add);
    }
    if (c.embedding_norm) {
      x = LayerNorm::forward(c.norm(), p.embedding_norm, x, cache.embedding_norm, ctx);
    }
    cache.stream = ctx.next_stream();
    dropout(ctx, x, static_cast<float>(c.dropout), cache.stream);
    cache.blocks.resize(p.blocks.size());
    return x;
  }
  /// Which row each token reads, and where sequences begin, counted in tokens.
  template <class T, class S, class Ctx>
  static void lay_out_tokens(const Config& c, const ItemsView<S>& items, RaggedView<ItemId> history,
                             Cache<T, S>& cache, Ctx& ctx) {
    const Index per_item = Embedding::tokens_per_item(c.catalogue);
    if constexpr (Embedding::row_per_item) {
      cache.token_rows = history.values;
      cache.offsets = history.offsets;
    } else {
      const Vector<std::int32_t, S> rows =
          ctx.template take<std::int32_t>(history.tokens() * per_item);
      for (Index t = 0; t < history.tokens(); ++t) {
        const Index item = history.values[static_cast<std::size_t>(t)];
        for (Index l = 0; l < per_item; ++l) { rows[t * per_item + l] = items.digit_rows(item, l); }
      }
      const Vector<Index, S> offsets =
          ctx.template take<Index>(static_cast<Index>(history.offsets.size()));
      for (Index s = 0; s < offsets.size(); ++s) {
        offsets[s] = per_item * history.offsets[static_cast<std::size_t>(s)];
      }
      cache.token_rows = std::span<const std::int32_t>(rows.span());
      cache.offsets = Offsets(offsets.span());
    }
  }
};

}  // namespace simgr::SIMGR_ABI
