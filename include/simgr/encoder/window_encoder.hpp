// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/flow.hpp>

namespace simgr::SIMGR_ABI {

/// A history as one state: what a user bought last, and who the user is.
///
///   x = rows of the last `window` items;   u = mean of the rows of all of them;   state = reader(x, u)
///
/// Models of this kind were published with a trained vector of every user. Here a user is the mean of
/// the history: a model serves users that it has never seen.
///
/// @tparam Embedding  with one token for each item: ItemEmbedding
/// @tparam Reader     of nn/: HierarchicalGating or WindowConvolution, with Numbers, Config{width, window,
///                    numbers} and, of the packed windows x and the users u,
///                      forward(config, params, x, u, offsets, cache, ctx)   -> [sequences, width]
///                      backward(config, params, grad, dy, du, cache, ctx)   -> dx;  du is assigned
///
/// Shapes      history packed -> [sequences, width]
/// Parameters  embedding, reader
/// Cache       that of the reader
template <class Embedding, class Reader>
struct WindowEncoder {
  using In = flow::History;
  using Out = flow::TokenStates;
  static constexpr bool causal = false;  // a state for each history, and none for its positions
  using EmbeddingType = Embedding;
  using Tokens = typename detail::TokensOf<Embedding>::Type;

  struct Config {
    Index width = 64, window = 5;
    Index max_length = 50;
    typename Reader::Numbers reader{};
    typename Embedding::Config embedding{};
    CatalogueSizes catalogue{};

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"window", 1, 1024, "items that are read one by one, the last ones"}, c.window);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that say who the user is"},
        c.max_length);
      fields_of("reader", c.reader, f);
      fields_of("embedding", c.embedding, f);
    }
    typename Embedding::Shape embedding_shape() const {
      return {width, catalogue, embedding, max_length};
    }
    typename Reader::Config of_reader() const { return {width, window, reader}; }
  };
  /// The first broken rule, or empty.
  static std::string check(const Config&) { return {}; }

  template <class T, class S = Host>
  struct Params {
    typename Embedding::template Params<T, S> embedding;
    typename Reader::template Params<T, S> reader;
  };
  template <class T, class S = Host>
  struct Cache {
    RaggedView<ItemId> history;
    HistoryTokens read;
    Offsets windows;  // [sequences + 1], in items of windows
    Offsets offsets;  // [sequences + 1], in states
    typename Tokens::template Cache<T, S> tokens;
    typename Reader::template Cache<T, S> reader;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    Embedding::for_each_parameter(c.embedding_shape(), under("embedding", f), p.embedding...);
    Reader::for_each_parameter(c.of_reader(), under("reader", f), p.reader...);
  }

  /// `rows` is what Embedding::rows gave for these parameters.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                              const ItemsView<S>& items, RaggedView<ItemId> history,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.history = history;
    cache.read = tokens_of_histories<Embedding>(c.embedding_shape(), items, history, {}, ctx);
    const Index sequences = static_cast<Index>(cache.read.offsets.size()) - 1;
    const Vector<Index, S> windows = ctx.template take<Index>(sequences + 1),
                           states = ctx.template take<Index>(sequences + 1);
    windows[0] = states[0] = 0;
    for (Index s = 0; s < sequences; ++s) {
      const auto at = static_cast<std::size_t>(s);
      windows[s + 1] =
          windows[s] + std::min(c.window, cache.read.offsets[at + 1] - cache.read.offsets[at]);
      states[s + 1] = s + 1;
    }
    cache.windows = Offsets(windows.span());
    cache.offsets = Offsets(states.span());

    const Matrix<T, S> all = Tokens::forward(c.embedding_shape(), p.embedding, rows, history,
                                             cache.read, cache.tokens, ctx),
                       x = ctx.template take<T>(windows[sequences], c.width),
                       users = ctx.template take<T>(sequences, c.width);
    mean_sequences(ctx, all, cache.read.offsets, users);
    in_windows(cache, [&](Index from, Index to, Index count) {
      copy(ctx, all.slice(from, count), x.slice(to, count), Write::assign);
    });
    return Reader::forward(c.of_reader(), p.reader, x, users, cache.windows, cache.reader, ctx);
  }

  /// Adds to `grad` and to `drows`, the gradient of the embedding's rows.
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S> drows, const Cache<T, S>& cache,
                       Ctx& ctx) {
    const Matrix<T, S> dusers = ctx.template take<T>(dstates.rows(), c.width),
                       dall = ctx.template take<T>(cache.read.offsets.back(), c.width);
    const Matrix<T, S> dx =
        Reader::backward(c.of_reader(), p.reader, grad.reader, dstates, dusers, cache.reader, ctx);
    mean_sequences_backward(ctx, dusers, cache.read.offsets, dall);
    in_windows(cache, [&](Index from, Index to, Index count) {
      copy(ctx, dx.slice(to, count), dall.slice(from, count), Write::add);
    });
    Tokens::backward(c.embedding_shape(), p.embedding, grad.embedding, dall, T(1), drows,
                     cache.read, cache.tokens, ctx);
  }

private:
  /// f(first token, first row of the window, rows) for every history.
  template <class T, class S, class F>
  static void in_windows(const Cache<T, S>& cache, F&& f) {
    for (std::size_t s = 0; s + 1 < cache.windows.size(); ++s) {
      const Index count = cache.windows[s + 1] - cache.windows[s];
      f(cache.read.offsets[s + 1] - count, cache.windows[s], count);
    }
  }
};

}  // namespace simgr::SIMGR_ABI
