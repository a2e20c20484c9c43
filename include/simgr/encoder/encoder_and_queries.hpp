// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/relative_stack.hpp>

namespace simgr::SIMGR_ABI {

/// T5 over sets: an encoder reads the vectors of a history's items, a decoder has a learned query for
/// each vector of the next one.
///
///   memory = encoder(vectors of the history's items, end);   states = decoder(queries; memory)
///
/// The vectors of an item share its position and see each other, so that their order means nothing.
/// State j has read the history and query j, and nothing of the other queries. Distances are all that
/// the encoder knows of places, so an item learns how long ago it was from the end, a learned set.
///
/// @tparam Embedding  SetEmbedding
/// @tparam Net        FeedForward<Relu> (T5), FeedForward<GeluTanh, Gated> (T5 1.1)
///
/// Shapes      histories packed -> [histories · vectors of an item, width]
/// Parameters  embedding;  queries, end [vectors of an item, width];  encoder, decoder
/// Source      Lin et al. 2025 (SETRec); Raffel et al. 2020
template <class Embedding, class Net = FeedForward<Relu>>
struct EncoderAndQueries {
  using In = flow::History;
  using Out = flow::TokenStates;
  using EmbeddingType = Embedding;
  using Reader = RelativeStack<Bidirectional, Net>;
  using Answerer = RelativeStack<Isolated, Net>;
  static constexpr bool reads_sets = requires { requires Embedding::item_sets; };
  static_assert(reads_sets,
                "simgr: EncoderAndQueries has a query for each vector of an item; use it with "
                "SetEmbedding");

  struct Config {
    Index width = 128, layers = 2, decoder_layers = 2;
    Index heads = 4, head_width = 32, inner = 512;
    Index max_length = 20;
    double dropout = 0.1;
    Index buckets = 32, farthest = 128;
    double epsilon = 1e-6;
    double deviation = 0.02;  // of the first values of the queries and of the end
    typename Embedding::Config embedding{};
    CatalogueSizes catalogue{};

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"layers", 0, 1024, "blocks of the encoder"}, c.layers);
      f(Field{"decoder_layers", 0, 1024, "blocks of the decoder"}, c.decoder_layers);
      f(Field{"heads", 1, 1024, "attention heads"}, c.heads);
      f(Field{"head_width", 1, 65536, "width of one head"}, c.head_width);
      f(Field{"inner", 1, 1 << 20, "width inside the feed-forward nets"}, c.inner);
      f(Field{"max_length", 1, 1 << 20, "most items of a history that are read, the last ones"},
        c.max_length);
      f(Field{"dropout", 0, 0.99,
              "of embeddings, attention, inside the nets, of what a block adds, of states"},
        c.dropout);
      f(Field{"buckets", 4, 65536, "numbers a head has for distances"}, c.buckets);
      f(Field{"farthest", 1, 1 << 20, "distance from which on all are one"}, c.farthest);
      f(Field{"epsilon", 0, 1, "of the norms"}, c.epsilon);
      f(Field{"deviation", 0, 10,
              "standard deviation of the first values of the queries and of the end"},
        c.deviation);
      fields_of("embedding", c.embedding, f);
    }
    typename Embedding::Shape embedding_shape() const { return {width, catalogue, embedding}; }
    Index queries() const { return Embedding::tokens_per_item(embedding_shape()); }
    typename Reader::Config reader() const {
      return {width,   layers,   heads,   head_width, inner,
              buckets, farthest, dropout, epsilon,    queries()};
    }
    typename Answerer::Config answerer() const {
      return {width, decoder_layers, heads, head_width, inner, buckets, farthest, dropout, epsilon};
    }
  };
  /// The first broken rule, or empty.
  static std::string check(const Config& c) {
    if (c.farthest <= c.buckets / 4) {
      return "encoder.farthest: expected more than a quarter of encoder.buckets " +
             std::to_string(c.buckets) + ", found " + std::to_string(c.farthest);
    }
    return {};
  }

  template <class T, class S = Host>
  struct Params {
    typename Embedding::template Params<T, S> embedding;
    Matrix<T, S> queries, end;
    typename Reader::template Params<T, S> encoder;
    typename Answerer::template Params<T, S> decoder;
  };
  template <class T, class S = Host>
  struct Cache {
    HistoryTokens history;
    Offsets memory;   // [histories + 1], in what the encoder reads: each history and the end
    Offsets offsets;  // [histories + 1], in states
    typename Reader::template Cache<T, S> encoder;
    typename Answerer::template Cache<T, S> decoder;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    Embedding::for_each_parameter(c.embedding_shape(), under("embedding", f), p.embedding...);
    f(Spec<2>{"queries", {c.queries(), c.width}, Init::normal(c.deviation)}, p.queries...);
    f(Spec<2>{"end", {c.queries(), c.width}, Init::normal(c.deviation)}, p.end...);
    Reader::for_each_parameter(c.reader(), under("encoder", f), p.encoder...);
    Answerer::for_each_parameter(c.answerer(), under("decoder", f), p.decoder...);
  }

  /// `rows` is what Embedding::rows gave for these parameters.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                              const ItemsView<S>& items, RaggedView<ItemId> history,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.history = tokens_of_histories<Embedding>(c.embedding_shape(), items, history, {}, ctx);
    const Index count = history.sequences(), each = c.queries();
    const Vector<Index, S> offsets = ctx.template take<Index>(count + 1);
    const Vector<Index, S> memory_offsets = ctx.template take<Index>(count + 1);
    for (Index s = 0; s <= count; ++s) {
      offsets[s] = s * each;
      memory_offsets[s] = cache.history.offsets[static_cast<std::size_t>(s)] + s * each;
    }
    cache.memory = Offsets(memory_offsets.span());
    const Matrix<T, S> x = ctx.template take<T>(cache.memory.back(), c.width);
    const Matrix<T, S> queries = ctx.template take<T>(count * each, c.width);
    for (Index s = 0; s < count; ++s) {
      gather_rows(ctx, rows, tokens_of(cache, s), x.slice(memory_offsets[s], length(cache, s)));
      copy(ctx, p.end, x.slice(memory_offsets[s + 1] - each, each), Write::assign);
      copy(ctx, p.queries, queries.slice(s * each, each), Write::assign);
    }
    const Matrix<T, S> memory =
        Reader::forward(c.reader(), p.encoder, x, cache.memory, {}, cache.encoder, ctx);
    cache.offsets = Offsets(offsets.span());
    return Answerer::forward(c.answerer(), p.decoder, queries, cache.offsets,
                             {memory, cache.memory}, cache.decoder, ctx);
  }

  /// Adds to `grad` and to `drows`, the gradient of the embedding's rows.
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S> drows, const Cache<T, S>& cache,
                       Ctx& ctx) {
    const Matrix<T, S> dmemory = ctx.template take<T>(cache.memory.back(), c.width);
    fill(ctx, dmemory, T(0));
    const Matrix<T, S> dqueries = Answerer::backward(c.answerer(), p.decoder, grad.decoder, dstates,
                                                     dmemory, cache.decoder, ctx);
    for (Index first = 0; first < dqueries.rows(); first += c.queries()) {
      copy(ctx, dqueries.slice(first, c.queries()), grad.queries, Write::add);
    }
    const Matrix<T, S> dx =
        Reader::backward(c.reader(), p.encoder, grad.encoder, dmemory, {}, cache.encoder, ctx);
    for (Index s = 0; s < static_cast<Index>(cache.memory.size()) - 1; ++s) {
      const Index first = cache.memory[static_cast<std::size_t>(s)];
      scatter_add_rows(ctx, dx.slice(first, length(cache, s)), tokens_of(cache, s), T(1), drows);
      copy(ctx, dx.slice(first + length(cache, s), c.queries()), grad.end, Write::add);
    }
  }

private:
  // The tokens of a history, without the end.
  template <class Kept>
  static Index length(const Kept& cache, Index s) {
    const auto at = static_cast<std::size_t>(s);
    return cache.history.offsets[at + 1] - cache.history.offsets[at];
  }
  template <class Kept>
  static std::span<const std::int32_t> tokens_of(const Kept& cache, Index s) {
    return cache.history.rows.subspan(
        static_cast<std::size_t>(cache.history.offsets[static_cast<std::size_t>(s)]),
        static_cast<std::size_t>(length(cache, s)));
  }
};

}  // namespace simgr::SIMGR_ABI
