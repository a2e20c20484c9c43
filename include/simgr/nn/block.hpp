// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/token_tree.hpp>
#include <simgr/nn/attention.hpp>
#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/lora.hpp>
#include <simgr/nn/sequence_filter.hpp>

namespace simgr::SIMGR_ABI {

/// Where the two norms of a block stand. A and F are attention and feed-forward, N1 and N2 the
/// norms. QueryNorm is that of SASRec's own code, where only the query is normalised.
struct PreNorm {};    // u = x + A(N1 x);                    y = u + F(N2 u)         GPT-2
struct PostNorm {};   // u = N1(x + A x);                    y = N2(u + F u)         BERT
struct QueryNorm {};  // q = N1 x;  u = N2(q + A(q; x, x));  y = u + F u             SASRec

/// What tokens of a sequence are mixed by, in the place of a mask of attention: a learned filter.
struct Filtered {};

/// One transformer block: self-attention and a feed-forward net, each with a residual path and
/// dropout on what is added to it.
///
///   F x = W2 f(W1 x + b1) + b2;   the rest as the placement says
///
/// @tparam Mask       Causal or Bidirectional; Filtered: A is a filter along the sequence
/// @tparam Placement  PreNorm, PostNorm or QueryNorm, which a filter has no query for
/// @tparam F          activation tag f: Relu, GeluErf, GeluTanh, Silu
/// @tparam Projection  Linear, or Lora<Linear> to train adapters on a frozen base
///
/// Shapes      x, y [tokens, width];  packing of their sequences
/// Parameters  norm1, attention or filter, norm2;  up [inner, width], down [width, inner], with biases
/// Cache       those of the parts, and the inner states [tokens, inner] before the activation
/// Cost        O(tokens · (4 width² + 2 width · inner)) + attention
/// Gradients   parameters accumulate, dx is assigned
/// Errors      those of SelfAttention
/// Source      placements: Xiong et al. 2020, figure 1; QueryNorm: Kang & McAuley 2018, their
///             published code
template <class Mask, class Placement, class F, class Projection = Linear>
  requires(!std::is_same_v<Mask, Filtered> || !std::is_same_v<Placement, QueryNorm>)
struct TransformerBlock {
  static constexpr bool filters = std::is_same_v<Mask, Filtered>;
  static_assert(!has_adapters<Projection> || (!filters && !std::is_same_v<Placement, QueryNorm>),
                "filters and queries that are normalised alone have no adapters: use PreNorm or "
                "PostNorm with attention");
  using Mixer = std::conditional_t<filters, SequenceFilter, SelfAttention<Mask, Projection>>;

  struct Config {
    Index width = 0, heads = 1, inner = 0;
    double dropout = 0, attention_dropout = 0;
    double epsilon = 1e-5;
    bool projected = true;
    Init init = Init::xavier();
    Index places = 0;  // that sequences have, for a filter
    Adapters adapters{};

    typename Mixer::Config mixer() const {
      if constexpr (filters) {
        return {width, places, init};
      } else {
        return {width, heads, attention_dropout, projected, init, adapters};
      }
    }
    LayerNorm::Config norm() const {
      return {.width = width, .epsilon = epsilon, .frozen = frozen_beside<Projection>(adapters)};
    }
    typename Projection::Config up() const {
      return projection<Projection>({width, inner, true, init}, adapters, &Adapters::up);
    }
    typename Projection::Config down() const {
      return projection<Projection>({inner, width, true, init}, adapters, &Adapters::down);
    }
  };
  template <class T, class S = Host>
  struct Params {
    LayerNorm::Params<T, S> norm1, norm2;
    typename Mixer::template Params<T, S> mixer;
    typename Projection::template Params<T, S> up, down;
  };
  template <class T, class S = Host>
  struct Cache {
    LayerNorm::Cache<T, S> norm1, norm2;
    typename Mixer::template Cache<T, S> mixer;
    typename Projection::template Cache<T, S> up, down;
    Matrix<T, S> hidden;  // [tokens, inner], before the activation
    std::uint32_t attention_stream = 0, inner_stream = 0;
  };

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    LayerNorm::for_each_parameter(c.norm(), under("norm1", f), p.norm1...);
    Mixer::for_each_parameter(c.mixer(), under(filters ? "filter" : "attention", f), p.mixer...);
    LayerNorm::for_each_parameter(c.norm(), under("norm2", f), p.norm2...);
    Projection::for_each_parameter(c.up(), under("up", f), p.up...);
    Projection::for_each_parameter(c.down(), under("down", f), p.down...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              const Packing& packing, Cache<T, S>& cache, Ctx& ctx) {
    if constexpr (std::is_same_v<Placement, PreNorm>) {
      const Matrix<T, S> n = LayerNorm::forward(c.norm(), p.norm1, x, cache.norm1, ctx);
      const Matrix<T, S> u = attend(c, p, n, n, x, packing, cache, ctx);
      const Matrix<T, S> m = LayerNorm::forward(c.norm(), p.norm2, u, cache.norm2, ctx);
      return feed_forward(c, p, m, u, cache, ctx);
    } else if constexpr (std::is_same_v<Placement, PostNorm>) {
      const Matrix<T, S> sum = attend(c, p, x, x, x, packing, cache, ctx);
      const Matrix<T, S> u = LayerNorm::forward(c.norm(), p.norm1, sum, cache.norm1, ctx);
      const Matrix<T, S> out = feed_forward(c, p, u, u, cache, ctx);
      return LayerNorm::forward(c.norm(), p.norm2, out, cache.norm2, ctx);
    } else {
      const Matrix<T, S> q = LayerNorm::forward(c.norm(), p.norm1, x, cache.norm1, ctx);
      const Matrix<T, S> sum = attend(c, p, q, x, q, packing, cache, ctx);
      const Matrix<T, S> u = LayerNorm::forward(c.norm(), p.norm2, sum, cache.norm2, ctx);
      return feed_forward(c, p, u, u, cache, ctx);
    }
  }

  /// Keys and values of a layer that tokens decoded later attend to.
  template <class T, class S = Host>
  struct Kept {
    Matrix<T, S> history;              // [tokens, kept_width]
    std::vector<Matrix<T, S>> levels;  // of a token tree, each [nodes, kept_width]
  };
  static Index kept_width(const Config& c) noexcept { return filters ? 0 : 2 * c.width; }

  // For serving: no dropout, and nothing for backward.

  /// All positions.   x, y [tokens, width];  kv [tokens, kept_width] is written
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_all(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                const Packing& packing, Matrix<T, S> kv, Ctx& ctx) {
    return serve(
        c, p, x, [](MatrixArg<T, S> rows) { return rows; },
        [&](MatrixArg<T, S> x_q, MatrixArg<T, S> all) {
          if constexpr (filters) {
            typename Mixer::template Cache<T, S> cache;  // of one call
            return Mixer::forward(c.mixer(), p.mixer, all, packing, cache, ctx);
          } else {
            return Mixer::serve_all(c.mixer(), p.mixer, x_q, all, packing, kv, ctx);
          }
        },
        ctx);
  }
  /// The last position of each sequence alone: keys and values of all tokens, everything else of
  /// one.
  ///
  /// Shapes  x [tokens, width];  y [sequences, width];  last [sequences], the rows of the positions
  ///         kv [tokens, kept_width] is written
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                 const Packing& packing, std::span<const std::int32_t> last,
                                 Matrix<T, S> kv, Ctx& ctx) {
    return serve(
        c, p, x,
        [&](MatrixArg<T, S> rows) -> MatrixArg<T, S> {
          const Matrix<T, S> y = ctx.template take<T>(static_cast<Index>(last.size()), c.width);
          gather_rows(ctx, rows, last, y);
          return y;
        },
        [&](MatrixArg<T, S> x_q, MatrixArg<T, S> all) {
          if constexpr (filters) {
            return Mixer::serve_last(c.mixer(), p.mixer, all, packing, ctx);
          } else {
            return Mixer::serve_last(c.mixer(), p.mixer, x_q, all, packing, kv, ctx);
          }
        },
        ctx);
  }
  /// The last level of a token tree.   x, y [nodes, width];  its keys and values are written
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_nodes(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                  const TokenTree<S>& tree, const Kept<T, S>& kept, Ctx& ctx) {
    return serve(
        c, p, x, [](MatrixArg<T, S> rows) { return rows; },
        [&](MatrixArg<T, S> x_q, MatrixArg<T, S> all) {
          return Mixer::serve_nodes(c.mixer(), p.mixer, x_q, all, kept.history,
                                    std::span<const Matrix<T, S>>(kept.levels), tree, ctx);
        },
        ctx);
  }

  // forward: as the placement says.  A residual path adds its gradient to that of its branch.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Packing& packing, const Cache<T, S>& cache,
                               Ctx& ctx) {
    if constexpr (std::is_same_v<Placement, PreNorm>) {
      const Matrix<T, S> dm = feed_forward_backward(c, p, grad, dy, cache, ctx);
      const Matrix<T, S> du =
          LayerNorm::backward(c.norm(), p.norm2, grad.norm2, dm, cache.norm2, ctx);
      copy(ctx, dy, du, Write::add);
      const auto dn = attend_backward(c, p, grad, du, packing, cache, ctx);
      const Matrix<T, S> dx =
          LayerNorm::backward(c.norm(), p.norm1, grad.norm1, dn.x, cache.norm1, ctx);
      copy(ctx, du, dx, Write::add);
      return dx;
    } else if constexpr (std::is_same_v<Placement, PostNorm>) {
      const Matrix<T, S> dout =
          LayerNorm::backward(c.norm(), p.norm2, grad.norm2, dy, cache.norm2, ctx);
      const Matrix<T, S> du = feed_forward_backward(c, p, grad, dout, cache, ctx);
      copy(ctx, dout, du, Write::add);
      const Matrix<T, S> dsum =
          LayerNorm::backward(c.norm(), p.norm1, grad.norm1, du, cache.norm1, ctx);
      const Matrix<T, S> dx = attend_backward(c, p, grad, dsum, packing, cache, ctx).x;
      copy(ctx, dsum, dx, Write::add);
      return dx;
    } else {
      const Matrix<T, S> du = feed_forward_backward(c, p, grad, dy, cache, ctx);
      copy(ctx, dy, du, Write::add);
      const Matrix<T, S> dsum =
          LayerNorm::backward(c.norm(), p.norm2, grad.norm2, du, cache.norm2, ctx);
      const auto branch = attend_backward(c, p, grad, dsum, packing, cache, ctx);
      copy(ctx, dsum, branch.queries_from, Write::add);
      const Matrix<T, S> dx =
          LayerNorm::backward(c.norm(), p.norm1, grad.norm1, branch.queries_from, cache.norm1, ctx);
      copy(ctx, branch.x, dx, Write::add);
      return dx;
    }
  }

private:
  /// The block of the rows that `pick` takes, with attention (of those rows, to all) given.
  template <class T, class S, class Pick, class Attend, class Ctx>
  static Matrix<T, S> serve(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x, Pick&& pick,
                            Attend&& attend, Ctx& ctx) {
    Cache<T, S> cache;  // of one call
    const auto plus = [&](const Matrix<T, S>& y, MatrixArg<T, S> residual) {
      copy(ctx, residual, y, Write::add);
      return y;
    };
    if constexpr (std::is_same_v<Placement, PreNorm>) {
      const Matrix<T, S> n = LayerNorm::forward(c.norm(), p.norm1, x, cache.norm1, ctx);
      const Matrix<T, S> u = plus(attend(pick(n), n), pick(x));
      const Matrix<T, S> m = LayerNorm::forward(c.norm(), p.norm2, u, cache.norm2, ctx);
      return feed_forward(c, p, m, u, cache, ctx);
    } else if constexpr (std::is_same_v<Placement, PostNorm>) {
      const MatrixArg<T, S> own = pick(x);
      const Matrix<T, S> sum = plus(attend(own, x), own);
      const Matrix<T, S> u = LayerNorm::forward(c.norm(), p.norm1, sum, cache.norm1, ctx);
      const Matrix<T, S> out = feed_forward(c, p, u, u, cache, ctx);
      return LayerNorm::forward(c.norm(), p.norm2, out, cache.norm2, ctx);
    } else {
      const Matrix<T, S> q = LayerNorm::forward(c.norm(), p.norm1, pick(x), cache.norm1, ctx);
      const Matrix<T, S> sum = plus(attend(q, x), q);
      const Matrix<T, S> u = LayerNorm::forward(c.norm(), p.norm2, sum, cache.norm2, ctx);
      return feed_forward(c, p, u, u, cache, ctx);
    }
  }

  /// residual + dropout(attention)
  template <class T, class S, class Ctx>
  static Matrix<T, S> attend(const Config& c, const Params<T, S>& p,
                             [[maybe_unused]] MatrixArg<T, S> x_q, MatrixArg<T, S> x,
                             MatrixArg<T, S> residual, const Packing& packing, Cache<T, S>& cache,
                             Ctx& ctx) {
    const auto mix = [&]() -> Matrix<T, S> {
      if constexpr (filters) {
        return Mixer::forward(c.mixer(), p.mixer, x, packing, cache.mixer, ctx);
      } else {
        return Mixer::forward(c.mixer(), p.mixer, x_q, x, packing, cache.mixer, ctx);
      }
    };
    const Matrix<T, S> y = mix();
    cache.attention_stream = ctx.next_stream();
    dropout(ctx, y, static_cast<float>(c.dropout), cache.attention_stream);
    copy(ctx, residual, y, Write::add);
    return y;
  }
  template <class T, class S, class Ctx>
  static auto attend_backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                              MatrixArg<T, S> dy, const Packing& packing, const Cache<T, S>& cache,
                              Ctx& ctx) {
    const Matrix<T, S> dbranch = ctx.template take<T>(dy.rows(), dy.cols());
    copy(ctx, dy, dbranch, Write::assign);
    dropout(ctx, dbranch, static_cast<float>(c.dropout), cache.attention_stream);
    if constexpr (filters) {
      struct InputGradient {
        Matrix<T, S> x;
      };
      return InputGradient{
          Mixer::backward(c.mixer(), p.mixer, grad.mixer, dbranch, packing, cache.mixer, ctx)};
    } else {
      return Mixer::backward(c.mixer(), p.mixer, grad.mixer, dbranch, packing, cache.mixer, ctx);
    }
  }

  /// residual + dropout(W2 f(W1 x + b1) + b2)
  template <class T, class S, class Ctx>
  static Matrix<T, S> feed_forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                   MatrixArg<T, S> residual, Cache<T, S>& cache, Ctx& ctx) {
    cache.hidden = Projection::forward(c.up(), p.up, x, cache.up, ctx);
    const Matrix<T, S> active = ctx.template take<T>(x.rows(), c.inner);
    activate(ctx, F{}, cache.hidden, active);
    const Matrix<T, S> y = Projection::forward(c.down(), p.down, active, cache.down, ctx);
    cache.inner_stream = ctx.next_stream();
    dropout(ctx, y, static_cast<float>(c.dropout), cache.inner_stream);
    copy(ctx, residual, y, Write::add);
    return y;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> feed_forward_backward(const Config& c, const Params<T, S>& p,
                                            const Params<T, S>& grad, MatrixArg<T, S> dy,
                                            const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dbranch = ctx.template take<T>(dy.rows(), dy.cols());
    copy(ctx, dy, dbranch, Write::assign);
    dropout(ctx, dbranch, static_cast<float>(c.dropout), cache.inner_stream);
    const Matrix<T, S> dactive =
        Projection::backward(c.down(), p.down, grad.down, dbranch, cache.down, ctx);
    activate_backward(ctx, F{}, cache.hidden, dactive, dactive);
    return Projection::backward(c.up(), p.up, grad.up, dactive, cache.up, ctx);
  }
};

}  // namespace simgr::SIMGR_ABI
