// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/nn/block.hpp>
#include <simgr/nn/block_stack.hpp>

namespace simgr::SIMGR_ABI {

/// BERT: every token of a text reads all others.
///
///   x_t = dropout(norm(row(token_t) + position_t + type(type_t)));   states = block(… block(x))
///
/// The blocks are those of TransformerEncoder; what a masked token was is read from the states by a
/// head of the caller's.
///
/// @tparam F  activation of the feed-forward nets: GeluErf (BERT, MiniLM), GeluTanh, Relu
///
/// Shapes      texts packed, tokens [tokens] -> states [tokens, width];  types [tokens], or empty: 0
/// Parameters  embedding.table [vocabulary, width], position [positions, width],
///             token_type [types, width], embedding_norm, blocks.i
/// Cache       that of the blocks; where config.recompute, what each read alone
/// Cost        layers · (O(tokens · (4 width² + 2 width · inner)) + O(Σ t² · width))
/// Gradients   parameters accumulate
/// Errors      ConfigError if width % heads != 0; a text of more than `positions` tokens, or ids out of
///             range are broken preconditions: the reader of texts cuts and checks
/// Source      Devlin et al. 2019, section 3; Wang et al. 2020 (MiniLM)
template <class F = GeluErf>
struct MaskedLm {
  using Block = TransformerBlock<Bidirectional, PostNorm, F>;

  struct Config {
    Index vocabulary = 30522, positions = 512, types = 2;
    Index width = 384, layers = 6, heads = 12, inner = 1536;
    double dropout = 0.1, attention_dropout = 0.1;
    double epsilon = 1e-12;
    double deviation = 0.02;  // of the first values of all matrices
    bool recompute = false;   // blocks in backward, instead of keeping what they computed

    template <class Walk, class C>
    static void for_each_field(C& c, Walk&& f) {
      f(Field{"vocabulary", 1, 1 << 24, "tokens there are"}, c.vocabulary);
      f(Field{"positions", 1, 1 << 20, "most tokens of a text"}, c.positions);
      f(Field{"types", 1, 65536, "kinds of text in one sequence"}, c.types);
      f(Field{"width", 1, 65536, "width of the model"}, c.width);
      f(Field{"layers", 0, 1024, "blocks"}, c.layers);
      f(Field{"heads", 1, 1024, "attention heads; must divide the width"}, c.heads);
      f(Field{"inner", 1, 1 << 20, "width inside the feed-forward nets"}, c.inner);
      f(Field{"dropout", 0, 0.99, "of embeddings and of what a block adds"}, c.dropout);
      f(Field{"attention_dropout", 0, 0.99, "of attention probabilities"}, c.attention_dropout);
      f(Field{"epsilon", 0, 1, "of the norms"}, c.epsilon);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of the matrices"},
        c.deviation);
      f(Field{"recompute", 0, 1, "training in less memory: blocks are computed twice"},
        c.recompute);
    }
    typename Block::Config block() const {
      return {
          width, heads, inner, dropout, attention_dropout, epsilon, true, Init::normal(deviation)};
    }
    LayerNorm::Config norm() const { return {width, epsilon}; }
  };
  /// The first broken rule, or empty.
  static std::string check(const Config& c) {
    if (c.width % c.heads != 0) {
      return "heads: expected a divisor of width " + std::to_string(c.width) + ", found " +
             std::to_string(c.heads);
    }
    return {};
  }

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> embedding, position, token_type;
    LayerNorm::Params<T, S> embedding_norm;
    std::vector<typename Block::template Params<T, S>> blocks;
  };
  template <class T, class S = Host>
  struct Cache {
    RaggedView<std::int32_t> tokens;
    std::span<const std::int32_t> types;
    std::uint32_t stream = 0;
    LayerNorm::Cache<T, S> embedding_norm;
    BlockCaches<typename Block::template Cache<T, S>, T, S> blocks;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    const Init init = Init::normal(c.deviation);
    f(Spec<2>{"embedding.table", {c.vocabulary, c.width}, init}, p.embedding...);
    f(Spec<2>{"position", {c.positions, c.width}, init}, p.position...);
    f(Spec<2>{"token_type", {c.types, c.width}, init}, p.token_type...);
    LayerNorm::for_each_parameter(c.norm(), under("embedding_norm", f), p.embedding_norm...);
    resize_blocks(c.layers, p.blocks...);
    for (Index i = 0; i < c.layers; ++i) {
      Block::for_each_parameter(c.block(), under("blocks." + std::to_string(i), f),
                                p.blocks[static_cast<std::size_t>(i)]...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p,
                              RaggedView<std::int32_t> tokens, std::span<const std::int32_t> types,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.tokens = tokens;
    cache.types = types;
    const Matrix<T, S> x = embed(c, p, tokens, types, cache.embedding_norm, ctx);
    cache.stream = ctx.next_stream();
    dropout(ctx, x, static_cast<float>(c.dropout), cache.stream);
    return forward_blocks(p.blocks.size(), c.recompute, x, cache.blocks,
                          block_forward(c, p, tokens.offsets, ctx), ctx);
  }

  /// The same without dropout, in the memory of one block.
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve(const Config& c, const Params<T, S>& p, RaggedView<std::int32_t> tokens,
                            std::span<const std::int32_t> types, Ctx& ctx) {
    LayerNorm::Cache<T, S> norm;
    const Matrix<T, S> x = embed(c, p, tokens, types, norm, ctx);
    for (const auto& block : p.blocks) {
      Arena::Scope scope(ctx.arena);
      const Matrix<T, S> kv = ctx.template take<T>(x.rows(), 2 * c.width);
      copy(ctx, Block::serve_all(c.block(), block, x, tokens.offsets, kv, ctx), x, Write::assign);
    }
    return x;
  }

  // forward: see above.  The embedding norm's gradient goes to all three rows that were added.
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, const Cache<T, S>& cache, Ctx& ctx) {
    const Offsets offsets = cache.tokens.offsets;
    Matrix<T, S> dx = backward_blocks<typename Block::template Cache<T, S>, T, S>(
        dstates, cache.blocks, block_forward(c, p, offsets, ctx),
        [&](std::size_t i, MatrixArg<T, S> dy, const auto& kept) {
          return Block::backward(c.block(), p.blocks[i], grad.blocks[i], dy, offsets, kept, ctx);
        },
        ctx);
    dropout(ctx, dx, static_cast<float>(c.dropout), cache.stream);
    dx = LayerNorm::backward(c.norm(), p.embedding_norm, grad.embedding_norm, MatrixArg<T, S>(dx),
                             cache.embedding_norm, ctx);
    scatter_add_rows(ctx, dx, cache.tokens.values, T(1), grad.embedding);
    if (cache.types.empty()) {
      add_column_sums(ctx, dx, grad.token_type.row(0));
    } else {
      scatter_add_rows(ctx, dx, cache.types, T(1), grad.token_type);
    }
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      const Index first = offsets[s], length = offsets[s + 1] - first;
      copy(ctx, dx.slice(first, length), grad.position.slice(0, length), Write::add);
    }
  }

private:
  /// (i, x, cache of block i) -> what block i makes of x
  template <class T, class S, class Ctx>
  static auto block_forward(const Config& c, const Params<T, S>& p, Offsets offsets, Ctx& ctx) {
    return [&c, &p, offsets, &ctx](std::size_t i, MatrixArg<T, S> x, auto& kept) {
      return Block::forward(c.block(), p.blocks[i], x, offsets, kept, ctx);
    };
  }
  /// norm(row + position + type)
  template <class T, class S, class Ctx>
  static Matrix<T, S> embed(const Config& c, const Params<T, S>& p, RaggedView<std::int32_t> tokens,
                            std::span<const std::int32_t> types, LayerNorm::Cache<T, S>& cache,
                            Ctx& ctx) {
    const Matrix<T, S> sum = ctx.template take<T>(tokens.tokens(), c.width);
    gather_rows(ctx, p.embedding, tokens.values, sum);
    if (types.empty()) {
      add_to_rows(ctx, p.token_type.row(0), sum);
    } else {
      const Matrix<T, S> kinds = ctx.template take<T>(sum.rows(), c.width);
      gather_rows(ctx, p.token_type, types, kinds);
      copy(ctx, kinds, sum, Write::add);
    }
    for (std::size_t s = 0; s + 1 < tokens.offsets.size(); ++s) {
      const Index first = tokens.offsets[s], length = tokens.offsets[s + 1] - first;
      SIMGR_ASSERT(length <= c.positions, "a text longer than the positions");
      copy(ctx, p.position.slice(0, length), sum.slice(first, length), Write::add);
    }
    return LayerNorm::forward(c.norm(), p.embedding_norm, sum, cache, ctx);
  }
};

}  // namespace simgr::SIMGR_ABI
