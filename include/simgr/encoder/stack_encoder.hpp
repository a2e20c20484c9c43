// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/token_tree.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/block_stack.hpp>

namespace simgr::SIMGR_ABI {

/// A stack of blocks over the items of a history; the families differ in their form.
///
///   x_t = dropout(norm?(scale · row(item_t) + position_t?));   x = block(… block(x));
///   states = norm?(x)
///
/// @tparam Embedding   what a token looks like: ItemEmbedding, SemanticEmbedding,
///                     PooledDigitEmbedding<P> or PromptEmbedding
/// @tparam Form        what the stack is made of:
///                       Block, Norm        of nn/, with the calls that are made here
///                       causal             whether tokens see the past alone
///                       places             whether positions have a table; or blocks know them
///                       adapted            whether blocks may have adapters
///                       Config<Embedding>  fields, block(), norm(), embedding_shape(), positions(),
///                                          and first_position(before, read) where places
///                       check(config)      the first broken rule, or empty
///
/// Where an item is several tokens and the form is causal, the stack spells the next item, too:
/// forward_targets trains every next item of a history in one pass, of a prompt one; begin and step
/// decode it.
///
/// Shapes      history packed, [tokens] items -> states [tokens · tokens_per_item, width], or of all
///             tokens of the prompts
/// Parameters  embedding, position [(max_length + 1) · tokens_per_item - 1, width] where there are
///             places, blocks.i, norms
/// Cache       that of the parts; where config.recompute, of the blocks what each read alone
/// Positions   those of the longest history and all tokens but the last of its next item; counted from
///             a history's first token, or so that its last has always the same
/// Errors      those of the form;  precondition: histories of at most max_length items, as batches are
template <class Embedding, class Form>
struct StackEncoder {
  using In = flow::History;
  using Out = flow::TokenStates;
  using EmbeddingType = Embedding;
  using Block = typename Form::Block;
  using Norm = typename Form::Norm;
  using Config = typename Form::template Config<Embedding>;
  static constexpr bool causal = Form::causal;
  /// Whether it can predict an item token by token.
  static constexpr bool spells_items = Embedding::needs_ids && !Embedding::row_per_item && causal;
  static constexpr bool adapted = Form::adapted;
  static constexpr bool reads_prompts = requires { requires Embedding::reads_prompt; };
  static constexpr Examples spelt_examples =
      reads_prompts ? Examples::every_prefix : Examples::every_position;
  using Tokens = typename detail::TokensOf<Embedding>::Type;
  static constexpr bool reads_rows = std::same_as<Tokens, GatheredRows>;  // any, by forward_tokens
  /// The first broken rule, or empty.
  static std::string check(const Config& c) {
    std::string sentence = Form::check(c);
    if constexpr (reads_prompts) {
      sentence = sentence.empty() ? Embedding::check(c.embedding_shape()) : sentence;
    }
    return sentence;
  }

  template <class T, class S = Host>
  struct Params {
    typename Embedding::template Params<T, S> embedding;
    Matrix<T, S> position;
    typename Norm::template Params<T, S> embedding_norm, final_norm;
    std::vector<typename Block::template Params<T, S>> blocks;
  };
  template <class T, class S = Host>
  struct Cache {
    RaggedView<ItemId> history;
    std::span<const std::int32_t> token_rows;  // [tokens]: what each token reads
    Packing packing;                           // of the tokens
    Offsets offsets;  // [sequences + 1], in states: those of tokens but a shared beginning
    Index ahead = 0;  // tokens of the next item behind each history
    typename Tokens::template Cache<T, S> tokens;
    std::uint32_t stream = 0;
    typename Norm::template Cache<T, S> embedding_norm, final_norm;
    BlockCaches<typename Block::template Cache<T, S>, T, S> blocks;
  };
  /// What decoding keeps between its steps.
  template <class T, class S = Host>
  struct State {
    TokenTree<S> tree;
    std::vector<typename Block::template Kept<T, S>> blocks;
    Cache<T, S> cache;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    Embedding::for_each_parameter(c.embedding_shape(), under("embedding", f), p.embedding...);
    if constexpr (Form::places) {
      const Trained trained = c.frozen() ? Trained::no : Trained::yes;
      const Init init = Init::normal(c.deviation);
      f(Spec<2>{"position", {c.positions(), c.width}, init, Decay::yes, trained}, p.position...);
    }
    if (c.embedding_norm) {
      Norm::for_each_parameter(c.norm(), under("embedding_norm", f), p.embedding_norm...);
    }
    resize_blocks(c.layers, p.blocks...);
    for (Index i = 0; i < c.layers; ++i) {
      Block::for_each_parameter(c.block(), under("blocks." + std::to_string(i), f),
                                p.blocks[static_cast<std::size_t>(i)]...);
    }
    if (c.final_norm) {
      Norm::for_each_parameter(c.norm(), under("final_norm", f), p.final_norm...);
    }
  }

  /// `rows` is what Embedding::rows gave for these parameters.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                              const ItemsView<S>& items, RaggedView<ItemId> history,
                              Cache<T, S>& cache, Ctx& ctx) {
    lay_out_tokens(c, items, history, {}, cache, ctx);
    return run(c, p, rows, cache, ctx);
  }

  /// Items without a prompt around them, each a sequence of its digits.
  /// ids [count] -> [count · tokens_per_item, width];  backward() goes back
  template <class T, class S, class Ctx>
  static Matrix<T, S>
  forward_items(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                const ItemsView<S>& items, std::span<const ItemId> ids, Cache<T, S>& cache,
                Ctx& ctx) requires(Embedding::needs_ids && !Embedding::row_per_item) {
    const Index digits = Embedding::tokens_per_item(c.embedding_shape());
    const auto count = static_cast<Index>(ids.size());
    const Vector<Index, S> offsets = ctx.template take<Index>(count + 1);
    const Vector<std::int32_t, S> tokens = ctx.template take<std::int32_t>(count * digits);
    for (Index i = 0; i <= count; ++i) { offsets[i] = i * digits; }
    for (Index i = 0; i < tokens.size(); ++i) {
      const ItemId item = ids[static_cast<std::size_t>(i / digits)];
      tokens[i] = static_cast<std::int32_t>(reads_prompts ? c.catalogue.words : 0) +
                  items.digit_rows(item, i % digits);
    }
    return forward_tokens(c, p, rows,
                          {std::span<const std::int32_t>(tokens.span()), Offsets(offsets.span())},
                          cache, ctx);
  }
  /// Any tokens.   -> [tokens, width];  backward() goes back
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_tokens(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                     const HistoryTokens& tokens, Cache<T, S>& cache, Ctx& ctx) {
    cache.history = {};
    cache.ahead = 0;
    cache.token_rows = tokens.rows;
    cache.packing = cache.offsets = tokens.offsets;
    return run(c, p, rows, cache, ctx);
  }

  /// The same without dropout, in the memory of one block.
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                            const ItemsView<S>& items, RaggedView<ItemId> history,
                            Cache<T, S>& cache, Ctx& ctx) {
    lay_out_tokens(c, items, history, {}, cache, ctx);
    const Matrix<T, S> x = embed(c, p, rows, cache, ctx);
    for (const auto& block : p.blocks) {
      Arena::Scope scope(ctx.arena);
      const Matrix<T, S> kv = ctx.template take<T>(x.rows(), Block::kept_width(c.block()));
      copy(ctx, Block::serve_all(c.block(), block, x, cache.packing, kv, ctx), x, Write::assign);
    }
    return own(normed(c, p, x, cache, ctx), cache.packing);
  }

  /// The states of the last positions alone, for serving: the last block computes nothing else.
  /// -> [sequences, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                   const ItemsView<S>& items, RaggedView<ItemId> history,
                                   Cache<T, S>& cache, Ctx& ctx) {
    lay_out_tokens(c, items, history, {}, cache, ctx);
    return serve_last(
        c, p, rows, cache,
        [&](std::size_t) {
          return ctx.template take<T>(cache.packing.offsets.back(), Block::kept_width(c.block()));
        },
        ctx);
  }

  /// Teacher forcing: every history, then all tokens but the last of its last target, in one causal
  /// pass. State j of a target has read what is before it and its tokens 0 … j - 1, and predicts
  /// token j.
  ///
  /// @param targets  [items of the histories]: of each, the next one; of prompts, [histories]
  ///
  /// -> [targets · tokens_per_item, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_targets(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                      const ItemsView<S>& items, RaggedView<ItemId> history,
                                      std::span<const ItemId> targets, Cache<T, S>& cache,
                                      Ctx& ctx) requires spells_items {
    lay_out_tokens(c, items, history, targets, cache, ctx);
    const Matrix<T, S> states = run(c, p, rows, cache, ctx);
    const Index tokens = static_cast<Index>(targets.size()) * (cache.ahead + 1);
    const Matrix<T, S> y = ctx.template take<T>(tokens, c.width);
    for_targets(cache.offsets, cache.ahead, [&](Index token, Index target, Index count) {
      copy(ctx, states.slice(token, count), y.slice(target, count), Write::assign);
    });
    return y;
  }
  template <class T, class S, class Ctx>
  static void backward_targets(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Matrix<T, S> drows, const Cache<T, S>& cache,
                               Ctx& ctx) requires spells_items {
    const Matrix<T, S> dstates = ctx.template take<T>(cache.offsets.back(), c.width);
    fill(ctx, dstates, T(0));
    for_targets(cache.offsets, cache.ahead, [&](Index token, Index target, Index count) {
      copy(ctx, dy.slice(target, count), dstates.slice(token, count), Write::assign);
    });
    backward(c, p, grad, dstates, drows, cache, ctx);
  }

  /// Begins to decode the items after some histories, none of them empty.
  /// -> [sequences, width], which predict the first token
  template <class T, class S, class Ctx>
  static Matrix<T, S> begin(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                            const ItemsView<S>& items, RaggedView<ItemId> histories,
                            State<T, S>& state, Ctx& ctx) requires(Form::causal) {
    lay_out_tokens(c, items, histories, {}, state.cache, ctx, false);
    state.tree.begin(state.cache.offsets);
    state.blocks.resize(p.blocks.size());
    for (auto& kept : state.blocks) {
      kept.history = ctx.template take<T>(state.cache.offsets.back(), Block::kept_width(c.block()));
      kept.levels.clear();
    }
    return serve_last(
        c, p, rows, state.cache, [&](std::size_t i) { return state.blocks[i].history; }, ctx);
  }
  /// One token more: what forward_targets would give for each node's history and path.
  ///
  /// @param level       1 for the first tokens after the histories, …; deeper nodes are forgotten
  /// @param parents     [nodes], ascending: indices among the nodes of the level before, or of
  ///                    histories
  /// @param token_rows  [nodes]: the rows of the embedding of the tokens
  ///
  /// -> [nodes, width], which predict the next token
  template <class T, class S, class Ctx>
  static Matrix<T, S> step(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                           Index level, std::span<const std::int32_t> parents,
                           std::span<const std::int32_t> token_rows, State<T, S>& state,
                           Ctx& ctx) requires(Form::causal) {
    const auto nodes = static_cast<Index>(parents.size());
    state.tree.grow(level, parents, ctx);
    for (auto& kept : state.blocks) {
      kept.levels.resize(static_cast<std::size_t>(level));
      kept.levels.back() = ctx.template take<T>(nodes, Block::kept_width(c.block()));
    }
    const Matrix<T, S> y = ctx.template take<T>(nodes, c.width);
    Arena::Scope scope(ctx.arena);
    const auto embedded = [&]() -> Matrix<T, S> {
      if constexpr (reads_prompts) {  // what follows a prompt is rows of items alone
        const Matrix<T, S> gathered = ctx.template take<T>(nodes, c.width);
        gather_rows(ctx, rows, token_rows, gathered);
        return gathered;
      } else {
        return Tokens::forward(c.embedding_shape(), p.embedding, rows, {},
                               HistoryTokens{token_rows, {}}, state.cache.tokens, ctx);
      }
    };
    Matrix<T, S> x = embedded();
    if (c.scale_embedding) {
      scale(ctx, x, std::sqrt(static_cast<T>(c.width)));
    }
    const Offsets of_history = state.tree.levels.back().nodes;
    for (Index s = 0; s < state.tree.sequences(); ++s) {
      const auto place = static_cast<std::size_t>(s);
      const Index read = state.tree.history[place + 1] - state.tree.history[place];
      SIMGR_ASSERT(read + level <= c.positions(), "history longer than max_length");
      if constexpr (Form::places) {
        const Index first = of_history[place], at = c.first_position(0, read) + read + level - 1;
        add_to_rows(ctx, p.position.row(at), x.slice(first, of_history[place + 1] - first));
      }
    }
    if (c.embedding_norm) {
      x = Norm::forward(c.norm(), p.embedding_norm, x, state.cache.embedding_norm, ctx);
    }
    for (std::size_t i = 0; i < p.blocks.size(); ++i) {
      Arena::Scope of_block(ctx.arena);
      copy(ctx, Block::serve_nodes(c.block(), p.blocks[i], x, state.tree, state.blocks[i], ctx), x,
           Write::assign);
    }
    copy(ctx, normed(c, p, x, state.cache, ctx), y, Write::assign);
    return y;
  }

  /// Adds to `grad` and to `drows`, the gradient of the embedding's rows.
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S> drows, const Cache<T, S>& cache,
                       Ctx& ctx) {
    MatrixArg<T, S> dx = dstates;
    if (const Index before = cache.packing.shared_tokens(); before > 0) {
      const Matrix<T, S> all = ctx.template take<T>(before + dstates.rows(), c.width);
      fill(ctx, all.slice(0, before), T(0));
      copy(ctx, dstates, all.slice(before, dstates.rows()), Write::assign);
      dx = all;
    }
    if (c.final_norm) {
      dx = Norm::backward(c.norm(), p.final_norm, grad.final_norm, dx, cache.final_norm, ctx);
    }
    dx = backward_blocks<typename Block::template Cache<T, S>, T, S>(
        dx, cache.blocks, block_forward(c, p, cache.packing, ctx),
        [&](std::size_t i, MatrixArg<T, S> dy, const auto& kept) {
          return Block::backward(c.block(), p.blocks[i], grad.blocks[i], dy, cache.packing, kept,
                                 ctx);
        },
        ctx);
    Matrix<T, S> dinput = ctx.template take<T>(dx.rows(), dx.cols());
    copy(ctx, dx, dinput, Write::assign);
    dropout(ctx, dinput, static_cast<float>(c.dropout), cache.stream);
    if (c.embedding_norm) {
      dinput = Norm::backward(c.norm(), p.embedding_norm, grad.embedding_norm, dinput,
                              cache.embedding_norm, ctx);
    }
    if constexpr (Form::places) {
      const Packing& packing = cache.packing;
      for (std::size_t s = 0; s < packing.sequences() && !c.frozen(); ++s) {
        const Index length = packing.length(s), read = length - cache.ahead;
        copy(ctx, dinput.slice(packing.offsets[s], length),
             grad.position.slice(c.first_position(packing.before(s), read), length), Write::add);
      }
    }
    Tokens::backward(c.embedding_shape(), p.embedding, grad.embedding, dinput,
                     c.scale_embedding ? std::sqrt(static_cast<T>(c.width)) : T(1), drows,
                     {cache.token_rows, cache.packing.offsets}, cache.tokens, ctx);
  }

private:
  /// The states without those of a shared beginning.
  template <class T, class S>
  static Matrix<T, S> own(Matrix<T, S> states, const Packing& packing) {
    return states.slice(packing.shared_tokens(), states.rows() - packing.shared_tokens());
  }
  /// All tokens of cache.token_rows.   -> [tokens but those of a shared beginning, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> run(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                          Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> x = embed(c, p, rows, cache, ctx);
    const Matrix<T, S> y = forward_blocks(p.blocks.size(), c.recompute, x, cache.blocks,
                                          block_forward(c, p, cache.packing, ctx), ctx);
    return own(normed(c, p, y, cache, ctx), cache.packing);
  }
  /// (i, x, cache of block i) -> what block i makes of x
  template <class T, class S, class Ctx>
  static auto block_forward(const Config& c, const Params<T, S>& p, const Packing& packing,
                            Ctx& ctx) {
    return [&c, &p, packing, &ctx](std::size_t i, MatrixArg<T, S> x, auto& kept) {
      return Block::forward(c.block(), p.blocks[i], x, packing, kept, ctx);
    };
  }
  /// The states of the last of them, without dropout. Keys and values of block i go to kv(i).
  template <class T, class S, class KV, class Ctx>
  static Matrix<T, S> serve_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                 Cache<T, S>& cache, KV&& kv, Ctx& ctx) {
    const Index sequences = static_cast<Index>(cache.offsets.size()) - 1;
    const Matrix<T, S> y = ctx.template take<T>(sequences, c.width);
    Arena::Scope scope(ctx.arena);
    const Vector<std::int32_t, S> ends = ctx.template take<std::int32_t>(sequences);
    for (Index s = 0; s < sequences; ++s) {
      ends[s] = static_cast<std::int32_t>(cache.packing.shared_tokens() +
                                          cache.offsets[static_cast<std::size_t>(s) + 1] - 1);
    }
    const std::span<const std::int32_t> last(ends.span());
    const Matrix<T, S> x = embed(c, p, rows, cache, ctx);
    for (std::size_t i = 0; i + 1 < p.blocks.size(); ++i) {
      Arena::Scope of_block(ctx.arena);
      copy(ctx, Block::serve_all(c.block(), p.blocks[i], x, cache.packing, kv(i), ctx), x,
           Write::assign);
    }
    if (p.blocks.empty()) {
      gather_rows(ctx, x, last, y);
    } else {
      const std::size_t i = p.blocks.size() - 1;
      copy(ctx, Block::serve_last(c.block(), p.blocks[i], x, cache.packing, last, kv(i), ctx), y,
           Write::assign);
    }
    copy(ctx, normed(c, p, y, cache, ctx), y, Write::assign);
    return y;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> normed(const Config& c, const Params<T, S>& p, Matrix<T, S> x,
                             Cache<T, S>& cache, Ctx& ctx) {
    return c.final_norm ? Norm::forward(c.norm(), p.final_norm, x, cache.final_norm, ctx) : x;
  }
  /// Calls f(token, target row, count) for the states of each history's targets, which stand
  /// together: those of its tokens but the first `ahead`, or of a prompt the last ahead + 1.
  template <class Visit>
  static void for_targets(Offsets offsets, Index ahead, Visit&& visit) {
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      const Index first = offsets[s], end = offsets[s + 1], place = static_cast<Index>(s);
      if constexpr (reads_prompts) {
        visit(end - ahead - 1, place * (ahead + 1), ahead + 1);
      } else {
        visit(first + ahead, first - place * ahead, end - first - ahead);
      }
    }
  }

  /// The input of the first block.
  template <class T, class S, class Ctx>
  static Matrix<T, S> embed(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                            Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> x =
        Tokens::forward(c.embedding_shape(), p.embedding, rows, cache.history,
                        HistoryTokens{cache.token_rows, cache.packing.offsets}, cache.tokens, ctx);
    if (c.scale_embedding) {
      scale(ctx, x, std::sqrt(static_cast<T>(c.width)));
    }
    for (std::size_t s = 0; s < cache.packing.sequences(); ++s) {
      const Index before = cache.packing.before(s), length = cache.packing.length(s);
      SIMGR_ASSERT(before + length <= c.positions(), "history longer than max_length");
      if constexpr (Form::places) {
        copy(ctx, p.position.slice(c.first_position(before, length - cache.ahead), length),
             x.slice(cache.packing.offsets[s], length), Write::add);
      }
    }
    if (c.embedding_norm) {
      x = Norm::forward(c.norm(), p.embedding_norm, x, cache.embedding_norm, ctx);
    }
    cache.stream = ctx.next_stream();
    dropout(ctx, x, static_cast<float>(c.dropout), cache.stream);
    return x;
  }
  template <class T, class S, class Ctx>
  static void lay_out_tokens(const Config& c, const ItemsView<S>& items, RaggedView<ItemId> history,
                             std::span<const ItemId> targets, Cache<T, S>& cache, Ctx& ctx,
                             bool share = Form::causal) {
    const HistoryTokens tokens =
        tokens_of_histories<Embedding>(c.embedding_shape(), items, history, targets, ctx, share);
    cache.history = history;
    cache.token_rows = tokens.rows;
    cache.packing = {tokens.offsets, tokens.shared};
    cache.ahead = targets.empty() ? 0 : Embedding::tokens_per_item(c.embedding_shape()) - 1;
    cache.offsets = tokens.shared ? offsets_of_own_tokens<S>(tokens, ctx) : tokens.offsets;
  }
};

}  // namespace simgr::SIMGR_ABI
