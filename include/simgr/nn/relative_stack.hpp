// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <simgr/core/parameter.hpp>
#include <simgr/nn/block_stack.hpp>
#include <simgr/nn/relative_block.hpp>
#include <simgr/nn/relative_position.hpp>
#include <simgr/nn/rms_norm.hpp>

namespace simgr::SIMGR_ABI {

/// An encoder or a decoder of T5: blocks that share one table of distances, and a norm at the end.
///
///   y = D N(block(… block(D x)))
///
/// @tparam Mask  Bidirectional: an encoder;  Causal: a decoder, which reads a memory;  Isolated: a
///               decoder whose tokens know nothing of each other, and so of no distances
/// @tparam Net   FeedForward<F, Gate>
///
/// Shapes      x, y [tokens, width]
/// Parameters  position.table [buckets, heads] unless isolated, blocks.i, final_norm
/// Cache       those of the parts; where config.recompute, of the blocks what each read alone
/// Cost        those of the blocks
/// Gradients   parameters and dmemory accumulate, dx is assigned
/// Source      Raffel et al. 2020, section 2.1
template <class Mask, class Net>
struct RelativeStack {
  using Block = RelativeBlock<Mask, Net>;

  struct Config {
    Index width = 0, layers = 0, heads = 1, head_width = 0, inner = 0;
    Index buckets = 32, farthest = 128;
    double dropout = 0, epsilon = 1e-6;
    Index tokens_per_position = 1;  // which divides every sequence
    bool recompute = false;         // blocks in backward, instead of keeping what they computed

    typename Block::Config block() const {
      return {width, heads, head_width, inner, dropout, epsilon, tokens_per_position};
    }
    RmsNorm::Config norm() const { return {width, epsilon}; }
    RelativePosition::Config position() const {
      return {heads,
              buckets,
              farthest,
              !Block::reads_memory,
              Init::normal(1 / std::sqrt(static_cast<double>(width))),
              tokens_per_position};
    }
  };
  template <class T, class S = Host>
  struct Params {
    RelativePosition::Params<T, S> position;
    std::vector<typename Block::template Params<T, S>> blocks;
    RmsNorm::Params<T, S> final_norm;
  };
  template <class T, class S = Host>
  struct Cache {
    Offsets offsets;
    Memory<T, S> memory;
    RelativePosition::Cache<T, S> position;
    Matrix<T, S> relative;  // [heads, distances]
    BlockCaches<typename Block::template Cache<T, S>, T, S> blocks;
    RmsNorm::Cache<T, S> final_norm;
    std::uint32_t first_stream = 0, last_stream = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    if constexpr (!Block::isolated) {
      RelativePosition::for_each_parameter(c.position(), under("position", f), p.position...);
    }
    resize_blocks(c.layers, p.blocks...);
    for (Index i = 0; i < c.layers; ++i) {
      Block::for_each_parameter(c.block(), under("blocks." + std::to_string(i), f),
                                p.blocks[static_cast<std::size_t>(i)]...);
    }
    RmsNorm::for_each_parameter(c.norm(), under("final_norm", f), p.final_norm...);
  }

  /// Dropout acts on `x` in place.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, Matrix<T, S> x,
                              Offsets offsets, const Memory<T, S>& memory, Cache<T, S>& cache,
                              Ctx& ctx) {
    cache.offsets = offsets;
    cache.memory = memory;
    cache.relative = {};
    if constexpr (!Block::isolated) {
      cache.relative = RelativePosition::forward(c.position(), p.position,
                                                 longest_sequence(offsets), cache.position, ctx);
    }
    cache.first_stream = ctx.next_stream();
    dropout(ctx, x, static_cast<float>(c.dropout), cache.first_stream);
    x = forward_blocks(p.blocks.size(), c.recompute, x, cache.blocks,
                       block_forward(c, p, cache, ctx), ctx);
    const Matrix<T, S> y = RmsNorm::forward(c.norm(), p.final_norm, x, cache.final_norm, ctx);
    cache.last_stream = ctx.next_stream();
    dropout(ctx, y, static_cast<float>(c.dropout), cache.last_stream);
    return y;
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Matrix<T, S> dmemory, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const auto rate = static_cast<float>(c.dropout);
    const Matrix<T, S> dnorm = ctx.template take<T>(dy.rows(), dy.cols());
    copy(ctx, dy, dnorm, Write::assign);
    dropout(ctx, dnorm, rate, cache.last_stream);
    const Matrix<T, S> dlast =
        RmsNorm::backward(c.norm(), p.final_norm, grad.final_norm, dnorm, cache.final_norm, ctx);
    const Matrix<T, S> drelative = ctx.template take<T>(c.heads, cache.relative.cols());
    fill(ctx, drelative, T(0));
    const Matrix<T, S> dx = backward_blocks<typename Block::template Cache<T, S>, T, S>(
        dlast, cache.blocks, block_forward(c, p, cache, ctx),
        [&](std::size_t i, MatrixArg<T, S> d, const auto& kept) {
          return Block::backward(c.block(), p.blocks[i], grad.blocks[i], d, cache.offsets,
                                 cache.memory.offsets, dmemory, drelative, kept, ctx);
        },
        ctx);
    if constexpr (!Block::isolated) {
      RelativePosition::backward(c.position(), p.position, grad.position, drelative, cache.position,
                                 ctx);
    }
    dropout(ctx, dx, rate, cache.first_stream);
    return dx;
  }

private:
  /// (i, x, cache of block i) -> what block i makes of x
  template <class T, class S, class Ctx>
  static auto block_forward(const Config& c, const Params<T, S>& p, const Cache<T, S>& cache,
                            Ctx& ctx) {
    return [&](std::size_t i, MatrixArg<T, S> x, auto& kept) {
      return Block::forward(c.block(), p.blocks[i], x, cache.offsets, cache.memory,
                            MatrixArg<T, S>(cache.relative), kept, ctx);
    };
  }
};

}  // namespace simgr::SIMGR_ABI
