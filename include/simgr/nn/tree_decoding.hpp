// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/token_tree.hpp>
#include <simgr/nn/relative_stack.hpp>

namespace simgr::SIMGR_ABI {

/// A decoder stack along trees of prefixes, one for each sequence of the memory, a depth at a time:
/// what forward() gives for the whole prefixes, without doing a common part twice. Keys and values
/// of the memory are computed once; a node finds those of its ancestors through its parent.
///
///   begin, read   keys and values of the memory for every block
///   step          the nodes of the next depth, or anew those of a depth that was there before: that
///                 one and what is deeper are forgotten
///
/// Nodes ascend by parent. Depth 0 has one node for each sequence. The state borrows memory of the
/// arena: what a call takes lives as long as the scope in which it was called.
///
/// Shapes  x, y [nodes, width];  parents [nodes], places in the depth before, empty at depth 0
/// Cost    of a step that of the stack for its nodes, and O(nodes · depth · inner)
template <class Net>
struct TreeDecoding {
  using Stack = RelativeStack<Causal, Net>;
  using Block = typename Stack::Block;
  using Config = typename Stack::Config;

  template <class T, class S = Host>
  struct State {
    Matrix<T, S> memory;     // [blocks · memory tokens, 2 inner]: keys and values for each block
    Offsets memory_offsets;  // [sequences + 1]
    TokenTree<S> tree;       // below the starts, which are its histories of one token
    Matrix<T, S> starts;     // [blocks · sequences, 2 inner]
    std::vector<Matrix<T, S>> levels;  // of the tree, each [blocks · nodes, 2 inner]
    typename Block::template Cache<T, S> cache;
  };

  /// Memory for keys and values, apart from the read so that the states may stand in a scope of
  /// their own.
  template <class T, class S, class Ctx>
  static void begin(const Config& c, Offsets memory_offsets, State<T, S>& state, Ctx& ctx) {
    SIMGR_ASSERT(!ctx.training, "decoding is for serving");
    const auto sequences = static_cast<Index>(memory_offsets.size()) - 1;
    const Index width = c.block().memory().key_value().out;
    state.memory = ctx.template take<T>(c.layers * memory_offsets.back(), width);
    state.starts = ctx.template take<T>(c.layers * sequences, width);
    state.memory_offsets = memory_offsets;
    const Vector<Index, S> one_each = ctx.template take<Index>(sequences + 1);
    for (Index s = 0; s <= sequences; ++s) { one_each[s] = s; }
    state.tree.begin(Offsets(one_each.span()));
    state.levels.clear();
  }
  template <class T, class S, class Ctx>
  static void read(const Config& c, const typename Stack::template Params<T, S>& p,
                   MatrixArg<T, S> states, State<T, S>& state, Ctx& ctx) {
    for (Index i = 0; i < c.layers; ++i) {
      gemm_nt(ctx, states, p.blocks[static_cast<std::size_t>(i)].memory.key_value.weight,
              of_block(state.memory, i, c), Write::assign);
    }
  }

  /// @param depth  0: the starts, whose parents are empty;  1, 2, …: a level of the tree
  template <class T, class S, class Ctx>
  static Matrix<T, S> step(const Config& c, const typename Stack::template Params<T, S>& p,
                           Index depth, std::span<const std::int32_t> parents, MatrixArg<T, S> x,
                           State<T, S>& state, Ctx& ctx) {
    const typename Block::Config block = c.block();
    Matrix<T, S> own = state.starts;
    if (depth > 0) {
      state.tree.grow(depth, parents, ctx);
      own = ctx.template take<T>(c.layers * x.rows(), block.self().key_value().out);
      state.levels.resize(static_cast<std::size_t>(depth) - 1);
      state.levels.push_back(own);
    }
    const Offsets nodes = depth > 0 ? state.tree.level(depth).nodes : state.tree.history;
    const Matrix<T, S> h = ctx.template take<T>(x.rows(), c.width);
    copy(ctx, x, h, Write::assign);
    Arena::Scope scope(ctx.arena);
    RelativePosition::Cache<T, S> position;
    const Matrix<T, S> relative =
        RelativePosition::forward(c.position(), p.position, depth + 1, position, ctx);
    for (Index i = 0; i < c.layers; ++i) {
      Arena::Scope of_one(ctx.arena);
      const auto& q = p.blocks[static_cast<std::size_t>(i)];
      const MatrixArg<T, S> n =
          RmsNorm::forward(block.norm(), q.self_norm, h, state.cache.self_norm, ctx);
      gemm_nt(ctx, n, q.self.key_value.weight, of_block(own, i, c), Write::assign);
      copy(ctx,
           depth > 0 ? along_tree(c, q, i, n, relative, state, ctx)
                     : Block::Self::forward_given(block.self(), q.self, n,
                                                  Matrix<const T, S>(of_block(own, i, c)), nodes,
                                                  nodes, relative, state.cache.self, ctx),
           h, Write::add);
      const MatrixArg<T, S> m =
          RmsNorm::forward(block.norm(), q.memory_norm, h, state.cache.memory_norm, ctx);
      copy(ctx,
           Block::ToMemory::forward_given(block.memory(), q.memory, m,
                                          Matrix<const T, S>(of_block(state.memory, i, c)), nodes,
                                          state.memory_offsets, {}, state.cache.memory, ctx),
           h, Write::add);
      copy(ctx, Block::feed_forward(block, q, h, state.cache, ctx), h, Write::assign);
    }
    copy(ctx, RmsNorm::forward(c.norm(), p.final_norm, h, state.cache.self_norm, ctx), h,
         Write::assign);
    return h;
  }

private:
  /// The rows of block i.
  template <class T, class S>
  static Matrix<T, S> of_block(Matrix<T, S> all, Index i, const Config& c) noexcept {
    const Index rows = all.rows() / c.layers;
    return all.slice(i * rows, rows);
  }

  /// Self-attention of the last level in block i, of which `n` is the normalised input.
  template <class T, class S, class Ctx>
  static Matrix<T, S> along_tree(const Config& c, const typename Block::template Params<T, S>& p,
                                 Index i, MatrixArg<T, S> n, MatrixArg<T, S> relative,
                                 State<T, S>& state, Ctx& ctx) {
    const typename Block::Self::Config self = c.block().self();
    const Matrix<T, S> q =
        Linear::forward(self.query(), p.self.query, n, state.cache.self.query, ctx);
    const Matrix<T, S> mixed = ctx.template take<T>(n.rows(), self.inner());
    const auto kept = ctx.template take<Matrix<T, S>>(static_cast<Index>(state.levels.size()));
    for (Index l = 0; l < kept.size(); ++l) {
      kept[l] = of_block(state.levels[static_cast<std::size_t>(l)], i, c);
    }
    const Matrix<T, S> starts = of_block(state.starts, i, c);
    attention_of_nodes(
        ctx, q, Columns<const T, S>{starts, 0}, Columns<const T, S>{starts, self.inner()},
        std::span<const Matrix<T, S>>(kept.span()), state.tree, self.shape(), mixed, relative);
    return Linear::forward(self.out(), p.self.out, mixed, state.cache.self.out, ctx);
  }
};

}  // namespace simgr::SIMGR_ABI
