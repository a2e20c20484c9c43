// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

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
/// Cost        O((tokens + memory tokens) · width · inner) products + O(Σ queries · keys · inner)
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
    cache.q = Linear::forward(c.query(), p.query, x, cache.query, ctx);
    cache.kv = kv;
    cache.stream = ctx.next_stream();
    cache.probabilities = ctx.template take<T>(probability_count(offsets, memory_offsets, c.heads));
    const Matrix<T, S> mixed = ctx.template take<T>(x.rows(), c.inner());
    attention(ctx, Mask{}, Columns<const T, S>{cache.q, 0}, Columns<const T, S>{kv, 0},
              Columns<const T, S>{kv, c.inner()}, offsets, memory_offsets, c.shape(), relative,
              static_cast<float>(c.dropout), cache.stream, cache.probabilities, mixed);
    return Linear::forward(c.out(), p.out, mixed, cache.out, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              MatrixArg<T, S> memory, Offsets offsets, Offsets memory_offsets,
                              MatrixArg<T, S> relative, Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> kv = keys_and_values(c, p, memory, cache, ctx);
    return forward_given(c, p, x, Matrix<const T, S>(kv), offsets, memory_offsets, relative, cache,
                         ctx);
  }

  /// Adds to `dmemory` and `drelative`. Where x was its own memory, `dmemory` is empty and its share
  /// is in the dx that is returned.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Offsets offsets, Offsets memory_offsets,
                               Matrix<T, S> dmemory, Matrix<T, S> drelative,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const Index inner = c.inner();
    const Matrix<T, S> dmixed = Linear::backward(c.out(), p.out, grad.out, dy, cache.out, ctx);
    const Matrix<T, S> dq = ctx.template take<T>(dy.rows(), inner);
    const Matrix<T, S> dkv = ctx.template take<T>(cache.kv.rows(), 2 * inner);
    attention_backward(ctx, Columns<const T, S>{cache.q, 0}, Columns<const T, S>{cache.kv, 0},
                       Columns<const T, S>{cache.kv, inner}, offsets, memory_offsets, c.shape(),
                       static_cast<float>(c.dropout), cache.stream, cache.probabilities, dmixed,
                       Columns<T, S>{dq, 0}, Columns<T, S>{dkv, 0}, Columns<T, S>{dkv, inner},
                       drelative);
    const Matrix<T, S> dx = Linear::backward(c.query(), p.query, grad.query, dq, cache.query, ctx);
    gemm_tn(ctx, dkv, cache.key_value.x, grad.key_value.weight, Write::add);
    gemm_nn(ctx, dkv, p.key_value.weight, dmemory.empty() ? dx : dmemory, Write::add);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
