// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/gru.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// Gated recurrent units over the items of a history.
///
///   x_t = dropout(row(item_t));   h = dropout(gru(… gru(x)));   states = h W' + b, where `projected`
///
/// @tparam Embedding  what a token looks like, without prompts: ItemEmbedding …
/// @tparam Reset      ResetAfter or ResetBefore: where the reset gate stands
///
/// Shapes      history packed, [tokens] -> states [tokens, width]
/// Parameters  embedding, layers.i, out
/// Cache       that of the parts
/// Errors      ConfigError where states are not projected and are no wider or narrower than items
template <class Embedding, class Reset>
struct RecurrentEncoder {
  using In = flow::History;
  using Out = flow::TokenStates;
  using EmbeddingType = Embedding;
  using Layer = Gru<Reset>;
  using Tokens = typename detail::TokensOf<Embedding>::Type;

  struct Config {
    Index width = 64, hidden = 128, layers = 1;
    Index max_length = 50;
    double dropout = 0.3, hidden_dropout = 0;
    bool biased = false, projected = true;
    typename Embedding::Config embedding{};
    CatalogueSizes catalogue{};

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of items and of users"}, c.width);
      f(Field{"hidden", 1, 65536, "width of the recurrent states"}, c.hidden);
      f(Field{"layers", 1, 64, "recurrent layers"}, c.layers);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that are read, the last ones"},
        c.max_length);
      f(Field{"dropout", 0, 0.99, "of embeddings"}, c.dropout);
      f(Field{"hidden_dropout", 0, 0.99, "of the last layer's states"}, c.hidden_dropout);
      f(Field{"biased", 0, 1, "biases in the gates"}, c.biased);
      f(Field{"projected", 0, 1, "a map from the recurrent states to users"}, c.projected);
      fields_of("embedding", c.embedding, f);
    }
    typename Embedding::Shape embedding_shape() const {
      return {width, catalogue, embedding, max_length};
    }
    typename Layer::Config layer(Index i) const {
      return {.in = i == 0 ? width : hidden, .hidden = hidden, .biased = biased};
    }
    Linear::Config out() const { return {hidden, width}; }
  };
  /// The first broken rule, or empty.
  static std::string check(const Config& c) {
    if (!c.projected && c.hidden != c.width) {
      return "encoder.hidden: expected encoder.width " + std::to_string(c.width) +
             ", because states are not projected, found " + std::to_string(c.hidden);
    }
    return {};
  }

  template <class T, class S = Host>
  struct Params {
    typename Embedding::template Params<T, S> embedding;
    std::vector<typename Layer::template Params<T, S>> layers;
    Linear::Params<T, S> out;
  };
  template <class T, class S = Host>
  struct Cache {
    RaggedView<ItemId> history;
    HistoryTokens read;
    Offsets offsets;  // [sequences + 1], in states
    typename Tokens::template Cache<T, S> tokens;
    std::vector<typename Layer::template Cache<T, S>> layers;
    Linear::Cache<T, S> out;
    std::uint32_t stream = 0, hidden_stream = 0;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    Embedding::for_each_parameter(c.embedding_shape(), under("embedding", f), p.embedding...);
    resize_blocks(c.layers, p.layers...);
    for (Index i = 0; i < c.layers; ++i) {
      Layer::for_each_parameter(c.layer(i), under("layers." + std::to_string(i), f),
                                p.layers[static_cast<std::size_t>(i)]...);
    }
    if (c.projected) {
      Linear::for_each_parameter(c.out(), under("out", f), p.out...);
    }
  }

  /// `rows` is what Embedding::rows gave for these parameters.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                              const ItemsView<S>& items, RaggedView<ItemId> history,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.history = history;
    cache.read = tokens_of_histories<Embedding>(c.embedding_shape(), items, history, {}, ctx);
    cache.offsets = cache.read.offsets;
    Matrix<T, S> x = Tokens::forward(c.embedding_shape(), p.embedding, rows, history, cache.read,
                                     cache.tokens, ctx);
    cache.stream = ctx.next_stream();
    dropout(ctx, x, static_cast<float>(c.dropout), cache.stream);
    cache.layers.resize(p.layers.size());
    for (std::size_t i = 0; i < p.layers.size(); ++i) {
      x = Layer::forward(c.layer(static_cast<Index>(i)), p.layers[i], x, {}, cache.offsets,
                         cache.layers[i], ctx);
    }
    cache.hidden_stream = ctx.next_stream();
    dropout(ctx, x, static_cast<float>(c.hidden_dropout), cache.hidden_stream);
    return c.projected ? Linear::forward(c.out(), p.out, x, cache.out, ctx) : x;
  }

  /// Adds to `grad` and to `drows`, the gradient of the embedding's rows.
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S> drows, const Cache<T, S>& cache,
                       Ctx& ctx) {
    Matrix<T, S> dx;
    if (c.projected) {
      dx = Linear::backward(c.out(), p.out, grad.out, dstates, cache.out, ctx);
    } else {
      dx = ctx.template take<T>(dstates.rows(), dstates.cols());
      copy(ctx, dstates, dx, Write::assign);
    }
    dropout(ctx, dx, static_cast<float>(c.hidden_dropout), cache.hidden_stream);
    for (std::size_t i = p.layers.size(); i-- > 0;) {
      dx = Layer::backward(c.layer(static_cast<Index>(i)), p.layers[i], grad.layers[i], dx, {},
                           cache.layers[i], ctx);
    }
    dropout(ctx, dx, static_cast<float>(c.dropout), cache.stream);
    Tokens::backward(c.embedding_shape(), p.embedding, grad.embedding, dx, T(1), drows, cache.read,
                     cache.tokens, ctx);
  }
};

}  // namespace simgr::SIMGR_ABI
