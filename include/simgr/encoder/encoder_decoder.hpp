// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <concepts>
#include <span>
#include <string>

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/relative_stack.hpp>
#include <simgr/nn/tree_decoding.hpp>

namespace simgr::SIMGR_ABI {

/// T5 over semantic ids: an encoder reads the digits of a history, a decoder spells the next item.
///
///   memory = encoder(rows of the history's digits)
///   states = r · decoder(start, d_0, …, d_{m-2}; memory),   r = width^-1/2 where `scaled_states`
///
/// State j of a target has read the history and the target's digits before j, and predicts digit j.
///
/// @tparam Embedding  SemanticEmbedding: the table that histories and the decoder read
/// @tparam Net        FeedForward<Relu> (T5), FeedForward<GeluTanh, Gated> (T5 1.1)
///
/// Shapes      histories packed, one target each -> [targets · digits, width]
/// Parameters  embedding;  start [width], what the decoder reads in place of a digit before the
///             first (T5 reads the row of its padding token);  encoder, decoder
/// Positions   are distances alone: none is learned for a place
/// Errors      an empty history is a broken precondition: it has nothing to attend to
/// Source      Raffel et al. 2020; Rajput et al. 2023, section 3.2
template <class Embedding, class Net = FeedForward<Relu>>
struct EncoderDecoder {
  using In = flow::History;
  using Out = flow::TokenStates;
  using EmbeddingType = Embedding;
  using Reader = RelativeStack<Bidirectional, Net>;
  using Speller = RelativeStack<Causal, Net>;
  using Decoding = TreeDecoding<Net>;
  using Tokens = typename detail::TokensOf<Embedding>::Type;
  static constexpr bool spells_items = true;
  static constexpr Examples spelt_examples = Examples::every_prefix;
  static constexpr bool spells_lists = true;
  static_assert(!Embedding::row_per_item,
                "simgr: EncoderDecoder spells digits; use it with SemanticEmbedding");

  struct Config {
    Index width = 128, layers = 4, decoder_layers = 4;
    Index heads = 6, head_width = 64, inner = 1024;
    Index max_length = 20;
    double dropout = 0.1;
    Index buckets = 32, farthest = 128;
    double epsilon = 1e-6;
    bool scaled_states = true;
    bool recompute = false;  // blocks in backward, instead of keeping what they computed
    typename Embedding::Config embedding{.deviation = 1};
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
      f(Field{"scaled_states", 0, 1, "states by width^-1/2, because the table is tied"},
        c.scaled_states);
      f(Field{"recompute", 0, 1, "training in less memory: blocks are computed twice"},
        c.recompute);
      fields_of("embedding", c.embedding, f);
    }
    typename Embedding::Shape embedding_shape() const {
      return {width, catalogue, embedding, max_length};
    }
    typename Reader::Config reader() const {
      return {width,    layers,  heads,   head_width, inner,    buckets,
              farthest, dropout, epsilon, 1,          recompute};
    }
    typename Speller::Config speller() const {
      return {width,    decoder_layers, heads,   head_width, inner,    buckets,
              farthest, dropout,        epsilon, 1,          recompute};
    }
    double state_scale() const {
      return scaled_states ? 1 / std::sqrt(static_cast<double>(width)) : 1;
    }
  };
  /// The first broken rule, or empty.
  static std::string check(const Config& c) {
    if (c.farthest <= c.buckets / 2) {
      return "encoder.farthest: expected more than half of encoder.buckets " +
             std::to_string(c.buckets) + ", found " + std::to_string(c.farthest);
    }
    return {};
  }

  template <class T, class S = Host>
  struct Params {
    typename Embedding::template Params<T, S> embedding;
    Vector<T, S> start;
    typename Reader::template Params<T, S> encoder;
    typename Speller::template Params<T, S> decoder;
  };
  template <class T, class S = Host>
  struct Cache {
    HistoryTokens history;
    std::span<const std::int32_t>
        spelt;  // rows of all digits that the decoder reads: but the last of a target, or list
    Offsets offsets;  // [targets + 1] or [lists + 1], in states
    typename Tokens::template Cache<T, S> tokens;
    typename Reader::template Cache<T, S> encoder;
    typename Speller::template Cache<T, S> decoder;
  };
  template <class T, class S = Host>
  struct State {
    typename Decoding::template State<T, S> tree;
    typename Tokens::template Cache<T, S> tokens;
    typename Reader::template Cache<T, S> encoder;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    Embedding::for_each_parameter(c.embedding_shape(), under("embedding", f), p.embedding...);
    f(Spec<1>{"start", {c.width}, Init::normal(c.embedding.deviation)}, p.start...);
    Reader::for_each_parameter(c.reader(), under("encoder", f), p.encoder...);
    Speller::for_each_parameter(c.speller(), under("decoder", f), p.decoder...);
  }

  /// `rows` is what Embedding::rows gave for these parameters; one target for each history.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_targets(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                      const ItemsView<S>& items, RaggedView<ItemId> history,
                                      std::span<const ItemId> targets, Cache<T, S>& cache,
                                      Ctx& ctx) {
    SIMGR_ASSERT(static_cast<Index>(targets.size()) == history.sequences(),
                 "one target for each history");
    const Matrix<T, S> read = embed(c, p, rows, items, history, cache.history, cache.tokens, ctx);
    lay_out_targets(items, targets, cache, ctx);
    return forward_rows(c, p, read, digits_of(c, rows), cache, ctx);
  }

  /// Adds to `grad` and to `drows`, the gradient of the embedding's rows.
  // Gradients of what the decoder read go to the rows of the target's digits, those of what the
  // encoder read to the rows of the history. `dends` [targets, width] goes to the last state of each
  // history, or to none.
  template <class T, class S, class Ctx>
  static void backward_targets(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dstates, Matrix<T, S> drows,
                               const Cache<T, S>& cache, Ctx& ctx, MatrixArg<T, S> dends = {}) {
    const Matrix<T, S> dread =
        backward_rows(c, p, grad, dstates, digits_of(c, drows), cache, ctx, dends);
    Tokens::backward(c.embedding_shape(), p.embedding, grad.embedding, dread, T(1), drows,
                     cache.history, cache.tokens, ctx);
  }

  /// Lists of items about one item each: the encoder reads `tag` and then the item, the decoder spells
  /// the whole list behind one start.
  ///
  /// @param asked    [lists] the items they are about
  /// @param known    rows of the digits of each list, but its last one
  /// @param offsets  [lists + 1], in digits of the lists
  ///
  /// -> [digits of all lists, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_lists(const Config& c, const Params<T, S>& p, VectorArg<T, S> tag,
                                    MatrixArg<T, S> rows, const ItemsView<S>& items,
                                    std::span<const ItemId> asked,
                                    std::span<const std::int32_t> known, Offsets offsets,
                                    Cache<T, S>& cache, Ctx& ctx) {
    const auto lists = static_cast<Index>(asked.size());
    const Vector<Index, S> one_each = ctx.template take<Index>(lists + 1),
                           reads = ctx.template take<Index>(lists + 1);
    const Index digits = Embedding::tokens_per_item(c.embedding_shape());
    for (Index s = 0; s <= lists; ++s) {
      one_each[s] = s;
      reads[s] = s * (digits + 1);
    }
    const Matrix<T, S> own = embed(c, p, rows, items, {asked, Offsets(one_each.span())},
                                   cache.history, cache.tokens, ctx);
    cache.history.offsets = Offsets(reads.span());
    const Matrix<T, S> read = ctx.template take<T>(reads[lists], c.width);
    for (Index s = 0; s < lists; ++s) {
      copy(ctx, tag, read.row(reads[s]), Write::assign);
      copy(ctx, own.slice(s * digits, digits), read.slice(reads[s] + 1, digits), Write::assign);
    }
    cache.spelt = known;
    cache.offsets = offsets;
    return forward_rows(c, p, read, digits_of(c, rows), cache, ctx);
  }
  /// Adds to `grad`, to `dtag` and to `drows`; `dends` [lists, width] as in backward_targets.
  template <class T, class S, class Ctx>
  static void backward_lists(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                             MatrixArg<T, S> dstates, Vector<T, S> dtag, Matrix<T, S> drows,
                             const Cache<T, S>& cache, Ctx& ctx, MatrixArg<T, S> dends = {}) {
    const Matrix<T, S> dread =
        backward_rows(c, p, grad, dstates, digits_of(c, drows), cache, ctx, dends);
    const Offsets reads = cache.history.offsets;
    const Index lists = static_cast<Index>(reads.size()) - 1;
    const Matrix<T, S> down = ctx.template take<T>(reads.back() - lists, c.width);
    for (Index s = 0; s < lists; ++s) {
      const Index first = reads[static_cast<std::size_t>(s)],
                  digits = reads[static_cast<std::size_t>(s) + 1] - first - 1;
      copy(ctx, dread.row(first), dtag, Write::add);
      copy(ctx, dread.slice(first + 1, digits), down.slice(s * digits, digits), Write::assign);
    }
    Tokens::backward(c.embedding_shape(), p.embedding, grad.embedding, down, T(1), drows,
                     cache.history, cache.tokens, ctx);
  }

  /// Reads histories, for step().   -> states [sequences, width] that predict the first digit
  /// @param ends  [sequences, width], receives the last state of the encoder for each; or empty
  template <class T, class S, class Ctx>
  static Matrix<T, S> begin(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                            const ItemsView<S>& items, RaggedView<ItemId> histories,
                            State<T, S>& state, Ctx& ctx, Matrix<T, S> ends = {}) {
    const Index sequences = histories.sequences();
    const Vector<Index, S> offsets = ctx.template take<Index>(sequences + 1);
    for (Index s = 0; s <= sequences; ++s) {
      offsets[s] = Embedding::tokens_per_item(c.embedding_shape()) *
                   histories.offsets[static_cast<std::size_t>(s)];
    }
    Decoding::begin(c.speller(), Offsets(offsets.span()), state.tree, ctx);
    {
      Arena::Scope scope(ctx.arena);
      HistoryTokens tokens;
      const Matrix<T, S> memory =
          read(c, p, rows, items, histories, tokens, state.tokens, state.encoder, ctx);
      if (!ends.empty()) {
        copy_ends(memory, tokens.offsets, ends, ctx);
      }
      Decoding::read(c.speller(), p.decoder, memory, state.tree, ctx);
    }
    const Matrix<T, S> x = ctx.template take<T>(sequences, c.width);
    for (Index s = 0; s < sequences; ++s) { copy(ctx, p.start, x.row(s), Write::assign); }
    return scaled_step(c, p, 0, {}, x, state, ctx);
  }

  /// The same of histories that nothing is to follow: their last states alone.
  template <class T, class S, class Ctx>
  static void read_ends(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                        const ItemsView<S>& items, RaggedView<ItemId> histories, State<T, S>& state,
                        Matrix<T, S> ends, Ctx& ctx) {
    Arena::Scope scope(ctx.arena);
    HistoryTokens tokens;
    const Matrix<T, S> memory =
        read(c, p, rows, items, histories, tokens, state.tokens, state.encoder, ctx);
    copy_ends(memory, tokens.offsets, ends, ctx);
  }

  /// The nodes of depth `level`, 1 to digits - 1: parents [nodes] are places in the level before (in
  /// level 1: sequences), token_rows [nodes] the rows of the digits that were chosen last. Nodes
  /// ascend by parent; those of this level and deeper are forgotten.
  ///   -> states [nodes, width] that predict digit `level`
  template <class T, class S, class Ctx>
  static Matrix<T, S> step(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                           Index level, std::span<const std::int32_t> parents,
                           std::span<const std::int32_t> token_rows, State<T, S>& state, Ctx& ctx) {
    const Matrix<T, S> x = ctx.template take<T>(static_cast<Index>(parents.size()), c.width);
    gather_rows(ctx, digits_of(c, rows), token_rows, x);
    return scaled_step(c, p, level, parents, x, state, ctx);
  }

protected:
  /// ends(s) = the state of the last token of history s.
  template <class T, class S, class Ctx>
  static void copy_ends(MatrixArg<T, S> memory, Offsets offsets, Matrix<T, S> ends, Ctx& ctx) {
    for (Index s = 0; s < ends.rows(); ++s) {
      copy(ctx, memory.row(offsets[static_cast<std::size_t>(s) + 1] - 1), ends.row(s),
           Write::assign);
    }
  }

private:
  /// The rows of the embedding that are digits: the last ones.
  template <class Rows>
  static Rows digits_of(const Config& c, Rows rows) noexcept {
    return rows.slice(rows.rows() - c.catalogue.table_rows, c.catalogue.table_rows);
  }
  /// visit(place of the start among states, first of the known rows, how many) of each sequence
  template <class Visit>
  static void for_sequences(Offsets offsets, Visit&& visit) {
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      SIMGR_ASSERT(offsets[s] < offsets[s + 1], "a sequence begins with the start");
      visit(offsets[s], offsets[s] - static_cast<Index>(s), offsets[s + 1] - offsets[s] - 1);
    }
  }
  /// The encoder reads `read`, which is scratch afterwards, in sequences of cache.history.offsets; the
  /// decoder reads the start and then `digits` of cache.spelt, of which a sequence has one less than
  /// states.   -> [states, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_rows(const Config& c, const Params<T, S>& p, Matrix<T, S> read,
                                   MatrixArg<T, S> digits, Cache<T, S>& cache, Ctx& ctx) {
    const Offsets reads = cache.history.offsets;
    const Matrix<T, S> memory =
        Reader::forward(c.reader(), p.encoder, read, reads, {}, cache.encoder, ctx);
    const Matrix<T, S> known =
        ctx.template take<T>(static_cast<Index>(cache.spelt.size()), c.width);
    gather_rows(ctx, digits, cache.spelt, known);
    const Matrix<T, S> x = ctx.template take<T>(cache.offsets.back(), c.width);
    for_sequences(cache.offsets, [&](Index start, Index before, Index count) {
      copy(ctx, p.start, x.row(start), Write::assign);
      copy(ctx, known.slice(before, count), x.slice(start + 1, count), Write::assign);
    });
    const Matrix<T, S> states = Speller::forward(c.speller(), p.decoder, x, cache.offsets,
                                                 {memory, reads}, cache.decoder, ctx);
    scale(ctx, states, static_cast<T>(c.state_scale()));
    return states;
  }
  /// Adds to `grad` and `ddigits`.   -> the gradient of `read`
  // forward: states = r decoder(x; memory).  Gradients of x go to the start and to the digits, those
  // of memory through the encoder.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward_rows(const Config& c, const Params<T, S>& p,
                                    const Params<T, S>& grad, MatrixArg<T, S> dstates,
                                    Matrix<T, S> ddigits, const Cache<T, S>& cache, Ctx& ctx,
                                    MatrixArg<T, S> dends) {
    const Matrix<T, S> dy = ctx.template take<T>(dstates.rows(), c.width);
    copy(ctx, dstates, dy, Write::assign);
    scale(ctx, dy, static_cast<T>(c.state_scale()));
    const Matrix<T, S> dmemory = ctx.template take<T>(cache.history.offsets.back(), c.width);
    fill(ctx, dmemory, T(0));
    for (Index s = 0; s < dends.rows(); ++s) {
      copy(ctx, dends.row(s),
           dmemory.row(cache.history.offsets[static_cast<std::size_t>(s) + 1] - 1), Write::assign);
    }
    const Matrix<T, S> dx =
        Speller::backward(c.speller(), p.decoder, grad.decoder, dy, dmemory, cache.decoder, ctx);
    const Matrix<T, S> dknown =
        ctx.template take<T>(static_cast<Index>(cache.spelt.size()), c.width);
    for_sequences(cache.offsets, [&](Index start, Index before, Index count) {
      copy(ctx, dx.row(start), grad.start, Write::add);
      copy(ctx, dx.slice(start + 1, count), dknown.slice(before, count), Write::assign);
    });
    scatter_add_rows(ctx, MatrixArg<T, S>(dknown), cache.spelt, T(1), ddigits);
    return Reader::backward(c.reader(), p.encoder, grad.encoder, dmemory, {}, cache.encoder, ctx);
  }
  /// What the encoder reads of histories.
  template <class T, class S, class Ctx>
  static Matrix<T, S> embed(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                            const ItemsView<S>& items, RaggedView<ItemId> history,
                            HistoryTokens& tokens, typename Tokens::template Cache<T, S>& cache,
                            Ctx& ctx) {
    tokens = tokens_of_histories<Embedding>(c.embedding_shape(), items, history, {}, ctx);
    return Tokens::forward(c.embedding_shape(), p.embedding, rows, history, tokens, cache, ctx);
  }
  /// States of the encoder.
  template <class T, class S, class Ctx>
  static Matrix<T, S> read(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                           const ItemsView<S>& items, RaggedView<ItemId> history,
                           HistoryTokens& tokens,
                           typename Tokens::template Cache<T, S>& token_cache,
                           typename Reader::template Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> x = embed(c, p, rows, items, history, tokens, token_cache, ctx);
    return Reader::forward(c.reader(), p.encoder, x, tokens.offsets, {}, cache, ctx);
  }
  template <class T, class S, class Ctx>
  static void lay_out_targets(const ItemsView<S>& items, std::span<const ItemId> targets,
                              Cache<T, S>& cache, Ctx& ctx) {
    const auto count = static_cast<Index>(targets.size());
    const Index digits = items.digit_rows.cols();
    const Vector<std::int32_t, S> spelt = ctx.template take<std::int32_t>(count * (digits - 1));
    const Vector<Index, S> offsets = ctx.template take<Index>(count + 1);
    for (Index t = 0; t <= count; ++t) { offsets[t] = t * digits; }
    for (Index i = 0; i < spelt.size(); ++i) {
      spelt[i] =
          items.digit_rows(targets[static_cast<std::size_t>(i / (digits - 1))], i % (digits - 1));
    }
    cache.spelt = std::span<const std::int32_t>(spelt.span());
    cache.offsets = Offsets(offsets.span());
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> scaled_step(const Config& c, const Params<T, S>& p, Index depth,
                                  std::span<const std::int32_t> parents, MatrixArg<T, S> x,
                                  State<T, S>& state, Ctx& ctx) {
    const Matrix<T, S> y =
        Decoding::step(c.speller(), p.decoder, depth, parents, x, state.tree, ctx);
    scale(ctx, y, static_cast<T>(c.state_scale()));
    return y;
  }
};

}  // namespace simgr::SIMGR_ABI
