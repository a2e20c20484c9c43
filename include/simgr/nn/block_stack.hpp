// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// What blocks that are run one after the other keep for backward.
///
///   whole    [blocks]: the cache of each
///   inputs   [blocks]: where forward is to run again, what each block read, and no cache
///
/// @tparam BlockCache  Cache<T, S> of the block
template <class BlockCache, class T, class S = Host>
struct BlockCaches {
  struct Input {
    MatrixArg<T, S> x;
    std::uint32_t stream = 0;  // of the block's first random mask
  };
  std::vector<BlockCache> whole;
  std::vector<Input> inputs;
};

/// y = block(… block(x)), which is in the arena.   x, y [tokens, width]
///
/// @param recompute  keeps what each block read instead of its cache: memory of one cache and all
///                   inputs, at the price of a second forward of every block
/// @param forward    (i, x, cache of i) -> y of block i
template <class BlockCache, class T, class S, class Forward, class Ctx>
Matrix<T, S> forward_blocks(std::size_t blocks, bool recompute, Matrix<T, S> x,
                            BlockCaches<BlockCache, T, S>& caches, Forward&& forward, Ctx& ctx) {
  caches.whole.resize(recompute ? 0 : blocks);
  caches.inputs.resize(recompute ? blocks : 0);
  for (std::size_t i = 0; i < blocks; ++i) {
    if (recompute) {
      caches.inputs[i] = {x, ctx.stream};
      const Matrix<T, S> y = ctx.template take<T>(x.rows(), x.cols());
      Arena::Scope scope(ctx.arena);
      BlockCache cache;
      copy(ctx, forward(i, MatrixArg<T, S>(x), cache), y, Write::assign);
      x = y;
    } else {
      x = forward(i, MatrixArg<T, S>(x), caches.whole[i]);
    }
  }
  return x;
}

/// dx from dy, in memory of its own; what a block's backward takes besides is given back. Where
/// caches were not kept, each block runs forward again first, with the masks that it had.
///
/// @param forward   that of forward_blocks
/// @param backward  (i, dy, cache of i) -> dx of block i; gradients of parameters accumulate
template <class BlockCache, class T, class S, class Forward, class Backward, class Ctx>
Matrix<T, S> backward_blocks(MatrixArg<T, S> dy, const BlockCaches<BlockCache, T, S>& caches,
                             Forward&& forward, Backward&& backward, Ctx& ctx) {
  const Matrix<T, S> dx = ctx.template take<T>(dy.rows(), dy.cols());
  copy(ctx, dy, dx, Write::assign);
  const auto through = [&](std::size_t i, const BlockCache& cache) {
    copy(ctx, backward(i, MatrixArg<T, S>(dx), cache), dx, Write::assign);
  };
  for (std::size_t i = caches.inputs.size(); i-- > 0;) {
    Arena::Scope scope(ctx.arena);
    BlockCache cache;
    const std::uint32_t next = std::exchange(ctx.stream, caches.inputs[i].stream);
    forward(i, caches.inputs[i].x, cache);
    ctx.stream = next;
    through(i, cache);
  }
  for (std::size_t i = caches.whole.size(); i-- > 0;) {
    Arena::Scope scope(ctx.arena);
    through(i, caches.whole[i]);
  }
  return dx;
}

}  // namespace simgr::SIMGR_ABI
