// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// Multi-head attention over packed sequences as in T5: no biases, scores are not divided by
/// sqrt(head width), and heads may be together wider or narrower than the model. Queries read
/// `memory`, which is x itself in self-attention, or other packed rows, one sequence for each of x.
///
///   q = x Q';   [k | v] = memory K';   P = dropout(softmax(mask(q k' + relative)));   y = (P v) O'
///
/// @tparam Mask  which positions a query may see: Causal (self-attention) or Bidirectional
///
/// Shapes      x, y [tokens, width];  memory [memory tokens, width];  the inner width is
///             heads · head_width
///             relative of RelativePosition, or empty
/// Parameters  query.weight [inner, width], key_value.weight [2 inner, width], out.weight
///             [width, inner]; their first values make up for the missing scale
/// Cache       q, k, v;  probabilities, one block for each sequence and head
/// Cost        O((tokens + memory tokens) · width · inner) products + O(Σ queries · keys · inner), some
///             sequences at a time
/// Gradients   parameters and the gradients of memory and relative accumulate, dx is assigned
/// Source      Raffel et al. 2020, section 2.1; first values as in their published code
template <class Mask>
struct UnscaledAttention {
  struct Config {
    Index width = 0, heads = 1, head_width = 0;
    double dropout = 0;  // of the probabilities
    Index tokens_per_position = 1;

    Index inner() const { return heads * head_width; }
    HeadShape shape() const { return {heads, heads, head_width, false, tokens_per_position}; }
    Linear::Config query() const { return map(width, inner(), width * head_width); }
    Linear::Config key_value() const { return map(width, 2 * inner(), width); }
    Linear::Config out() const { return map(inner(), width, inner()); }

  private:
    static Linear::Config map(Index in, Index out, Index inverse_variance) {
      return {in, out, false, Init::normal(1 / std::sqrt(static_cast<double>(inverse_variance)))};
    }
  };
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> query, key_value, out;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> query, key_value, out;
    Matrix<T, S> q;         // [tokens, inner]
    Matrix<const T, S> kv;  // [memory tokens, 2 inner]
    Vector<T, S> probabilities;
    std::uint32_t stream = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Linear::for_each_parameter(c.query(), under("query", f), p.query...);
    Linear::for_each_parameter(c.key_value(), under("key_value", f), p.key_value...);
    Linear::for_each_parameter(c.out(), under("out", f), p.out...);
  }

  /// Keys and values of a memory, for forward_given().   -> [memory tokens, 2 inner]
  template <class T, class S, class Ctx>
  static Matrix<T, S> keys_and_values(const Config& c, const Params<T, S>& p,
                                      MatrixArg<T, S> memory, Cache<T, S>& cache, Ctx& ctx) {
    return Linear::forward(c.key_value(), p.key_value, memory, cache.key_value, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_given(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                    Matrix<const T, S> kv, Offsets offsets, Offsets memory_offsets,
                                    MatrixArg<T, S> relative, Cache<T, S>& cache, Ctx& ctx) {
    return forward_by(c, p, x, kv, offsets, memory_offsets, relative, cache, ctx,
                      [](Index, Index) {});
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              MatrixArg<T, S> memory, Offsets offsets, Offsets memory_offsets,
                              MatrixArg<T, S> relative, Cache<T, S>& cache, Ctx& ctx) {
    cache.key_value.x = memory;
    const Matrix<T, S> kv = ctx.template take<T>(memory.rows(), 2 * c.inner());
    return forward_by(c, p, x, Matrix<const T, S>(kv), offsets, memory_offsets, relative, cache,
                      ctx, [&](Index first, Index count) {
                        gemm_nt(ctx, memory.slice(first, count), p.key_value.weight,
                                kv.slice(first, count), Write::assign);
                      });
  }

  /// Adds to `dmemory` and `drelative`. Where x was its own memory, `dmemory` is empty and its share
  /// is in the dx that is returned.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Offsets offsets, Offsets memory_offsets,
                               Matrix<T, S> dmemory, Matrix<T, S> drelative,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const Index inner = c.inner();
    const Matrix<T, S> dx = ctx.template take<T>(dy.rows(), c.width);
    for_each_group<T>(c, offsets, memory_offsets, ctx, [&](const Group& group) {
      const auto own = [&](auto rows) { return rows.slice(group.first, group.count); };
      const auto of_memory = [&](auto rows) {
        return rows.slice(group.first_memory, group.memory_count);
      };
      const MatrixArg<T, S> dmix = own(dy), q = own(MatrixArg<T, S>(cache.q)),
                            kv = of_memory(cache.kv);
      const Matrix<T, S> dmixed = ctx.template take<T>(group.count, inner),
                         dq = ctx.template take<T>(group.count, inner),
                         dkv = ctx.template take<T>(group.memory_count, 2 * inner);
      gemm_tn(ctx, dmix, own(cache.out.x), grad.out.weight, Write::add);
      gemm_nn(ctx, dmix, p.out.weight, dmixed, Write::assign);
      attention_backward(ctx, Columns<const T, S>{q, 0}, Columns<const T, S>{kv, 0},
                         Columns<const T, S>{kv, inner}, group.offsets, group.memory_offsets,
                         c.shape(), static_cast<float>(c.dropout), cache.stream + group.number,
                         cache.probabilities.slice(group.at, group.probabilities), dmixed,
                         Columns<T, S>{dq, 0}, Columns<T, S>{dkv, 0}, Columns<T, S>{dkv, inner},
                         drelative);
      gemm_tn(ctx, dq, own(cache.query.x), grad.query.weight, Write::add);
      gemm_nn(ctx, dq, p.query.weight, own(dx), Write::assign);
      gemm_tn(ctx, dkv, of_memory(cache.key_value.x), grad.key_value.weight, Write::add);
      gemm_nn(ctx, dkv, p.key_value.weight, dmemory.empty() ? own(dx) : of_memory(dmemory),
              Write::add);
    });
    return dx;
  }

private:
  /// Some sequences: where their tokens and those of their memories lie, and how among themselves.
  struct Group {
    std::uint32_t number;
    Index first, count, first_memory, memory_count;
    Index at, probabilities;          // where theirs begin, and how many there are
    Offsets offsets, memory_offsets;  // from 0
  };

  /// As many sequences at a time as have queries, keys, values and what they mix to in the second
  /// cache: training four layers of TIGER's takes .87 of the time in fp32, .94 in bf16. Memory that f
  /// takes is given back.
  template <class T, class Ctx, class F>
  static void for_each_group(const Config& c, Offsets offsets, Offsets memory_offsets, Ctx& ctx,
                             F&& f) {
    constexpr Index bytes = 1 << 21;
    const Index most = std::max<Index>(1, bytes / (4 * c.inner() * static_cast<Index>(sizeof(T))));
    const std::size_t sequences = offsets.empty() ? 0 : offsets.size() - 1;
    Group group{};
    for (std::size_t from = 0; from < sequences; ++group.number) {
      std::size_t to = from + 1;
      const auto fits = [&] {
        return offsets[to + 1] - offsets[from] <= most &&
               memory_offsets[to + 1] - memory_offsets[from] <= most;
      };
      while (to < sequences && fits()) { ++to; }
      Arena::Scope scope(ctx.arena);
      const auto from_0 = [&](Offsets all) {
        const Vector<Index> own = ctx.template take<Index>(static_cast<Index>(to - from) + 1);
        for (std::size_t s = from; s <= to; ++s) {
          own[static_cast<Index>(s - from)] = all[s] - all[from];
        }
        return Offsets(own.span());
      };
      group.first = offsets[from];
      group.count = offsets[to] - offsets[from];
      group.first_memory = memory_offsets[from];
      group.memory_count = memory_offsets[to] - memory_offsets[from];
      group.offsets = from_0(offsets);
      group.memory_offsets = from_0(memory_offsets);
      group.probabilities = probability_count(group.offsets, group.memory_offsets, c.heads);
      f(std::as_const(group));
      group.at += group.probabilities;
      from = to;
    }
  }

  /// @param fill  fill(first, count) computes these rows of kv
  template <class T, class S, class Ctx, class Fill>
  static Matrix<T, S> forward_by(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                 Matrix<const T, S> kv, Offsets offsets, Offsets memory_offsets,
                                 MatrixArg<T, S> relative, Cache<T, S>& cache, Ctx& ctx,
                                 Fill&& fill) {
    cache.query.x = x;
    cache.q = ctx.template take<T>(x.rows(), c.inner());
    cache.kv = kv;
    cache.probabilities = ctx.template take<T>(probability_count(offsets, memory_offsets, c.heads));
    const Matrix<T, S> mixed = ctx.template take<T>(x.rows(), c.inner());
    cache.out.x = mixed;
    const Matrix<T, S> y = ctx.template take<T>(x.rows(), c.width);
    cache.stream = ctx.stream;  // each group takes one
    for_each_group<T>(c, offsets, memory_offsets, ctx, [&](const Group& group) {
      const auto own = [&](auto rows) { return rows.slice(group.first, group.count); };
      const MatrixArg<T, S> keys = kv.slice(group.first_memory, group.memory_count);
      gemm_nt(ctx, own(x), p.query.weight, own(cache.q), Write::assign);
      fill(group.first_memory, group.memory_count);
      attention(ctx, Mask{}, Columns<const T, S>{own(cache.q), 0}, Columns<const T, S>{keys, 0},
                Columns<const T, S>{keys, c.inner()}, group.offsets, group.memory_offsets,
                c.shape(), relative, static_cast<float>(c.dropout), ctx.next_stream(),
                cache.probabilities.slice(group.at, group.probabilities), own(mixed));
      gemm_nt(ctx, own(mixed), p.out.weight, own(y), Write::assign);
    });
    return y;
  }
};

}  // namespace simgr::SIMGR_ABI
