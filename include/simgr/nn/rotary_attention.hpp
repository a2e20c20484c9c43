// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <type_traits>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/rotary_angles.hpp>
#include <simgr/core/token_tree.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/lora.hpp>
#include <simgr/nn/rms_norm.hpp>

namespace simgr::SIMGR_ABI {

/// Causal attention over packed sequences whose queries and keys are turned by their positions, and
/// whose heads may share keys and values in groups: that of Llama and Qwen.
///
///   q = R N(x Q' + b);   k = R N(x K' + b);   v = x V' + b
///   P = dropout(softmax(mask(q k' / sqrt(head_width))));   y = (P v) O'
///
/// R turns each head by its position in the sequence, N is an RMS norm of each head where
/// `normed` and nothing otherwise, biases are there where `biased`.
///
/// @tparam Projection  Linear, or Lora<Linear> to train adapters on a frozen base
///
/// Shapes      x, y [tokens, width];  packing of their sequences
/// Parameters  query.weight [heads · head_width, width], key.weight and value.weight
///             [kv_heads · head_width, width], with biases where biased;  query_norm, key_norm
///             [head_width] where normed;  out.weight [width, heads · head_width]
/// Cache       q, k, v;  probabilities, one [t, t] block for each sequence and head
/// Cost        O(tokens · width · (2 heads + 2 kv_heads) · head_width) + O(Σ t² · heads · head_width)
/// Gradients   parameters accumulate, dx is assigned
/// Errors      ConfigError if heads % kv_heads != 0 or head_width is odd (checked once)
/// Source      Dubey et al. 2024, section 3.2; Yang et al. 2024 (Qwen2), section 2.2.1; Yang et al. 2025
///             (Qwen3), section 2; groups: Ainslie et al. 2023
template <class Projection = Linear>
struct RotaryAttention {
  struct Config {
    Index width = 0, heads = 1, kv_heads = 1, head_width = 0;
    double dropout = 0;  // of the probabilities
    bool biased = false, normed = false;
    double epsilon = 1e-6;
    RotaryAngles angles{};
    Init init = Init::xavier();
    Adapters adapters{};

    Index inner() const { return heads * head_width; }
    Index kv_inner() const { return kv_heads * head_width; }
    HeadShape shape() const { return {heads, kv_heads, head_width}; }
    RmsNorm::Config norm() const {
      return {head_width, epsilon, frozen_beside<Projection>(adapters)};
    }
    typename Projection::Config query() const { return map(inner(), &Adapters::query); }
    typename Projection::Config key() const { return map(kv_inner(), &Adapters::key); }
    typename Projection::Config value() const { return map(kv_inner(), &Adapters::value); }
    typename Projection::Config out() const {
      return projection<Projection>({inner(), width, false, init}, adapters, &Adapters::out);
    }

  private:
    typename Projection::Config map(Index rows, bool Adapters::*wanted) const {
      return projection<Projection>({width, rows, biased, init}, adapters, wanted);
    }
  };
  template <class T, class S = Host>
  struct Params {
    typename Projection::template Params<T, S> query, key, value, out;
    RmsNorm::Params<T, S> query_norm, key_norm;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Projection::template Cache<T, S> query, key, value, out;
    RmsNorm::Cache<T, S> query_norm, key_norm;
    std::span<const std::int32_t> positions;  // [tokens]
    Matrix<T, S> q, k, v;
    Vector<T, S> probabilities;
    std::uint32_t stream = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Projection::for_each_parameter(c.query(), under("query", f), p.query...);
    Projection::for_each_parameter(c.key(), under("key", f), p.key...);
    Projection::for_each_parameter(c.value(), under("value", f), p.value...);
    if (c.normed) {
      RmsNorm::for_each_parameter(c.norm(), under("query_norm", f), p.query_norm...);
      RmsNorm::for_each_parameter(c.norm(), under("key_norm", f), p.key_norm...);
    }
    Projection::for_each_parameter(c.out(), under("out", f), p.out...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              const Packing& packing, Cache<T, S>& cache, Ctx& ctx) {
    cache.positions = positions_of<T, S>(packing, ctx);
    cache.q = queries(c, p, x, cache.positions, cache, ctx);
    cache.k = keys(c, p, x, cache.positions, cache, ctx);
    cache.v = Projection::forward(c.value(), p.value, x, cache.value, ctx);
    cache.stream = ctx.next_stream();
    cache.probabilities = ctx.template take<T>(probability_count(packing, c.heads));
    const Matrix<T, S> mixed = ctx.template take<T>(x.rows(), c.inner());
    attention(ctx, Causal{}, Columns<const T, S>{cache.q}, Columns<const T, S>{cache.k},
              Columns<const T, S>{cache.v}, packing, c.shape(), static_cast<float>(c.dropout),
              cache.stream, cache.probabilities, mixed);
    return Projection::forward(c.out(), p.out, mixed, cache.out, ctx);
  }

  // forward: see above.  What was turned is turned back.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Packing& packing, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const Index tokens = dy.rows();
    const Matrix<T, S> dmixed = Projection::backward(c.out(), p.out, grad.out, dy, cache.out, ctx);
    const Matrix<T, S> dq = ctx.template take<T>(tokens, c.inner());
    const Matrix<T, S> dk = ctx.template take<T>(tokens, c.kv_inner());
    const Matrix<T, S> dv = ctx.template take<T>(tokens, c.kv_inner());
    attention_backward(ctx, Columns<const T, S>{cache.q}, Columns<const T, S>{cache.k},
                       Columns<const T, S>{cache.v}, packing, c.shape(),
                       static_cast<float>(c.dropout), cache.stream, cache.probabilities, dmixed,
                       Columns<T, S>{dq}, Columns<T, S>{dk}, Columns<T, S>{dv});
    const Matrix<T, S> dx =
        Projection::backward(c.value(), p.value, grad.value, dv, cache.value, ctx);
    const auto turned_back = [&](Matrix<T, S> d, const RmsNorm::Params<T, S>& norm,
                                 const RmsNorm::Params<T, S>& norm_grad,
                                 const RmsNorm::Cache<T, S>& kept) -> Matrix<T, S> {
      rotate_heads(ctx, d, cache.positions, c.head_width, c.angles, -1, d);
      if (!c.normed) {
        return d;
      }
      const Matrix<T, S> back =
          RmsNorm::backward(c.norm(), norm, norm_grad, MatrixArg<T, S>(by_head(c, d)), kept, ctx);
      return {back.data(), {d.rows(), d.cols()}};
    };
    const Matrix<T, S> dqueries = turned_back(dq, p.query_norm, grad.query_norm, cache.query_norm);
    copy(ctx, Projection::backward(c.query(), p.query, grad.query, dqueries, cache.query, ctx), dx,
         Write::add);
    const Matrix<T, S> dkeys = turned_back(dk, p.key_norm, grad.key_norm, cache.key_norm);
    copy(ctx, Projection::backward(c.key(), p.key, grad.key, dkeys, cache.key, ctx), dx,
         Write::add);
    return dx;
  }

  // For serving: no dropout, and nothing for backward. Keys, turned, and values stand side by side
  // where the caller keeps them:  kv [tokens, 2 kv_heads · head_width].

  /// All positions.   x, y [tokens, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_all(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                const Packing& packing, Matrix<T, S> kv, Ctx& ctx) {
    const auto positions = positions_of<T, S>(packing, ctx);
    Cache<T, S> cache;
    const Matrix<T, S> q = queries(c, p, x, positions, cache, ctx);
    keep(c, p, x, positions, kv, ctx);
    const Matrix<T, S> mixed = ctx.template take<T>(x.rows(), c.inner());
    attention_of_all(ctx, Causal{}, Columns<const T, S>{q}, Columns<const T, S>{kv},
                     Columns<const T, S>{kv, c.kv_inner()}, packing, c.shape(), mixed);
    return Projection::forward(c.out(), p.out, mixed, cache.out, ctx);
  }
  /// The last position of each sequence alone.
  ///
  /// Shapes  x_q, y [sequences, width];  x [tokens, width];  no sequence is empty
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x_q,
                                 MatrixArg<T, S> x, const Packing& packing, Matrix<T, S> kv,
                                 Ctx& ctx) {
    const Vector<std::int32_t, S> ends = ctx.template take<std::int32_t>(x_q.rows());
    for (Index s = 0; s < x_q.rows(); ++s) {
      const auto place = static_cast<std::size_t>(s) + (packing.shared ? 1 : 0);
      ends[s] = static_cast<std::int32_t>(packing.before(place) + packing.length(place) - 1);
    }
    Cache<T, S> cache;
    const Matrix<T, S> q = queries(c, p, x_q, ends.span(), cache, ctx);
    keep(c, p, x, positions_of<T, S>(packing, ctx), kv, ctx);
    const Matrix<T, S> mixed = ctx.template take<T>(x_q.rows(), c.inner());
    attention_of_last(ctx, q, Columns<const T, S>{kv}, Columns<const T, S>{kv, c.kv_inner()},
                      packing, c.shape(), mixed);
    return Projection::forward(c.out(), p.out, mixed, cache.out, ctx);
  }
  /// The last level of a token tree: each node as the last position of its history and path.
  ///
  /// @param history  keys and values of the histories
  /// @param levels   those of each level of the tree; the last one is written
  ///
  /// Shapes  x, y [nodes, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_nodes(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                  Matrix<T, S> history, std::span<const Matrix<T, S>> levels,
                                  const TokenTree<S>& tree, Ctx& ctx) {
    const Vector<std::int32_t, S> positions = ctx.template take<std::int32_t>(x.rows());
    const Offsets nodes = tree.levels.back().nodes;
    const auto depth = static_cast<Index>(levels.size());
    for (Index s = 0; s < tree.sequences(); ++s) {
      const auto place = static_cast<std::size_t>(s);
      const Index at = tree.history[place + 1] - tree.history[place] + depth - 1;
      for (Index n = nodes[place]; n < nodes[place + 1]; ++n) {
        positions[n] = static_cast<std::int32_t>(at);
      }
    }
    Cache<T, S> cache;
    const Matrix<T, S> q = queries(c, p, x, positions.span(), cache, ctx);
    keep(c, p, x, positions.span(), levels.back(), ctx);
    const Matrix<T, S> mixed = ctx.template take<T>(x.rows(), c.inner());
    attention_of_nodes(ctx, q, Columns<const T, S>{history},
                       Columns<const T, S>{history, c.kv_inner()}, levels, tree, c.shape(), mixed);
    return Projection::forward(c.out(), p.out, mixed, cache.out, ctx);
  }

private:
  using Positions = std::span<const std::int32_t>;

  template <class T, class S, class Ctx>
  static Positions positions_of(const Packing& packing, Ctx& ctx) {
    const Vector<std::int32_t, S> positions =
        ctx.template take<std::int32_t>(packing.offsets.back());
    for (std::size_t s = 0; s < packing.sequences(); ++s) {
      for (Index t = 0; t < packing.length(s); ++t) {
        positions[packing.offsets[s] + t] = static_cast<std::int32_t>(packing.before(s) + t);
      }
    }
    return positions.span();
  }
  /// [tokens · heads, head_width] over the same memory.
  template <class T, class S>
  static Matrix<T, S> by_head(const Config& c, Matrix<T, S> x) {
    return {x.data(), {x.size() / c.head_width, c.head_width}};
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> turned(const Config& c, Matrix<T, S> x, Positions positions,
                             const RmsNorm::Params<T, S>& norm, RmsNorm::Cache<T, S>& cache,
                             Ctx& ctx) {
    Matrix<T, S> y = x;
    if (c.normed) {
      y = RmsNorm::forward(c.norm(), norm, MatrixArg<T, S>(by_head(c, x)), cache, ctx);
      y = {y.data(), {x.rows(), x.cols()}};
    }
    rotate_heads(ctx, y, positions, c.head_width, c.angles, 1, y);
    return y;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> queries(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Positions positions, Cache<T, S>& cache, Ctx& ctx) {
    return turned(c, Projection::forward(c.query(), p.query, x, cache.query, ctx), positions,
                  p.query_norm, cache.query_norm, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> keys(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                           Positions positions, Cache<T, S>& cache, Ctx& ctx) {
    return turned(c, Projection::forward(c.key(), p.key, x, cache.key, ctx), positions, p.key_norm,
                  cache.key_norm, ctx);
  }
  /// Keys and values to where they are kept.
  template <class T, class S, class Ctx>
  static void keep(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x, Positions positions,
                   Matrix<T, S> kv, Ctx& ctx) {
    Arena::Scope scope(ctx.arena);
    Cache<T, S> cache;
    copy_to_columns(ctx, keys(c, p, x, positions, cache, ctx), Columns<T, S>{kv});
    copy_to_columns(ctx, Projection::forward(c.value(), p.value, x, cache.value, ctx),
                    Columns<T, S>{kv, c.kv_inner()});
  }
};

}  // namespace simgr::SIMGR_ABI
