// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <simgr/core/parameter.hpp>
#include <simgr/core/token_tree.hpp>
#include <simgr/nn/feed_forward.hpp>
#include <simgr/nn/rms_norm.hpp>
#include <simgr/nn/rotary_attention.hpp>

namespace simgr::SIMGR_ABI {

/// One block of a decoder-only language model such as Llama or Qwen.
///
///   u = x + D A(N1 x);   y = u + D F(N2 u)
///
/// A is RotaryAttention, F a gated feed-forward net, N are RMS norms, D is dropout.
///
/// @tparam Projection  Linear, or Lora<Linear> to train adapters on a frozen base
///
/// Shapes      x, y [tokens, width];  packing of their sequences
/// Parameters  norm1, attention, norm2, net
/// Cache       those of the parts
/// Cost        those of the parts
/// Gradients   parameters accumulate, dx is assigned
/// Source      Touvron et al. 2023, section 2.2
template <class Projection = Linear>
struct RotaryBlock {
  using Attention = RotaryAttention<Projection>;
  using Net = SwiGlu<Projection>;

  struct Config {
    typename Attention::Config attention{};
    Index inner = 0;
    double dropout = 0;

    RmsNorm::Config norm() const {
      return {attention.width, attention.epsilon, frozen_beside<Projection>(attention.adapters)};
    }
    typename Net::Config net() const {
      return {attention.width, inner, 0, attention.init, attention.init, attention.adapters};
    }
  };
  template <class T, class S = Host>
  struct Params {
    RmsNorm::Params<T, S> norm1, norm2;
    typename Attention::template Params<T, S> attention;
    typename Net::template Params<T, S> net;
  };
  template <class T, class S = Host>
  struct Cache {
    RmsNorm::Cache<T, S> norm1, norm2;
    typename Attention::template Cache<T, S> attention;
    typename Net::template Cache<T, S> net;
    std::uint32_t attention_stream = 0, net_stream = 0;
  };
  /// Keys and values of a layer that tokens decoded later attend to.
  template <class T, class S = Host>
  struct Kept {
    Matrix<T, S> history;              // [tokens, kept_width]
    std::vector<Matrix<T, S>> levels;  // of a token tree, each [nodes, kept_width]
  };
  static Index kept_width(const Config& c) noexcept { return 2 * c.attention.kv_inner(); }

  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    RmsNorm::for_each_parameter(c.norm(), under("norm1", f), p.norm1...);
    Attention::for_each_parameter(c.attention, under("attention", f), p.attention...);
    RmsNorm::for_each_parameter(c.norm(), under("norm2", f), p.norm2...);
    Net::for_each_parameter(c.net(), under("net", f), p.net...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              const Packing& packing, Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> n = RmsNorm::forward(c.norm(), p.norm1, x, cache.norm1, ctx);
    const Matrix<T, S> u =
        Attention::forward(c.attention, p.attention, n, packing, cache.attention, ctx);
    cache.attention_stream = ctx.next_stream();
    dropout(ctx, u, static_cast<float>(c.dropout), cache.attention_stream);
    copy(ctx, x, u, Write::add);
    return feed_forward(c, p, u, cache, ctx);
  }

  // For serving: no dropout, and nothing for backward.

  /// All positions.   x, y [tokens, width];  kv [tokens, kept_width] is written
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_all(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                const Packing& packing, Matrix<T, S> kv, Ctx& ctx) {
    Cache<T, S> cache;
    const Matrix<T, S> n = RmsNorm::forward(c.norm(), p.norm1, x, cache.norm1, ctx);
    const Matrix<T, S> u = Attention::serve_all(c.attention, p.attention, n, packing, kv, ctx);
    copy(ctx, x, u, Write::add);
    return feed_forward(c, p, u, cache, ctx);
  }
  /// The last position of each sequence alone: keys and values of all tokens, the rest of one.
  ///
  /// Shapes  x [tokens, width];  y [sequences, width];  last [sequences], the rows of the positions
  ///         kv [tokens, kept_width] is written
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                 const Packing& packing, std::span<const std::int32_t> last,
                                 Matrix<T, S> kv, Ctx& ctx) {
    const auto picked = [&](MatrixArg<T, S> rows) {
      const Matrix<T, S> y =
          ctx.template take<T>(static_cast<Index>(last.size()), c.attention.width);
      gather_rows(ctx, rows, last, y);
      return y;
    };
    Cache<T, S> cache;
    const Matrix<T, S> n = RmsNorm::forward(c.norm(), p.norm1, x, cache.norm1, ctx);
    const Matrix<T, S> u = Attention::serve_last(c.attention, p.attention,
                                                 MatrixArg<T, S>(picked(n)), n, packing, kv, ctx);
    copy(ctx, picked(x), u, Write::add);
    return feed_forward(c, p, u, cache, ctx);
  }
  /// The last level of a token tree.   x, y [nodes, width];  its keys and values are written
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_nodes(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                  const TokenTree<S>& tree, const Kept<T, S>& kept, Ctx& ctx) {
    Cache<T, S> cache;
    const Matrix<T, S> n = RmsNorm::forward(c.norm(), p.norm1, x, cache.norm1, ctx);
    const Matrix<T, S> u =
        Attention::serve_nodes(c.attention, p.attention, n, kept.history,
                               std::span<const Matrix<T, S>>(kept.levels), tree, ctx);
    copy(ctx, x, u, Write::add);
    return feed_forward(c, p, u, cache, ctx);
  }

  // forward: see above.  x' = x + D f(N x):  dx = dx' + N'(f'(D dx'))
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Packing& packing, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const auto dropped = [&](MatrixArg<T, S> d, std::uint32_t stream) -> MatrixArg<T, S> {
      if (c.dropout == 0) {
        return d;
      }
      const Matrix<T, S> branch = ctx.template take<T>(d.rows(), d.cols());
      copy(ctx, d, branch, Write::assign);
      dropout(ctx, branch, static_cast<float>(c.dropout), stream);
      return branch;
    };
    const Matrix<T, S> dm =
        Net::backward(c.net(), p.net, grad.net, dropped(dy, cache.net_stream), cache.net, ctx);
    const Matrix<T, S> du = RmsNorm::backward(c.norm(), p.norm2, grad.norm2, dm, cache.norm2, ctx);
    copy(ctx, dy, du, Write::add);
    const Matrix<T, S> dn =
        Attention::backward(c.attention, p.attention, grad.attention,
                            dropped(du, cache.attention_stream), packing, cache.attention, ctx);
    const Matrix<T, S> dx = RmsNorm::backward(c.norm(), p.norm1, grad.norm1, dn, cache.norm1, ctx);
    copy(ctx, du, dx, Write::add);
    return dx;
  }

private:
  /// u + D F(N2 u)
  template <class T, class S, class Ctx>
  static Matrix<T, S> feed_forward(const Config& c, const Params<T, S>& p, Matrix<T, S> u,
                                   Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> m =
        RmsNorm::forward(c.norm(), p.norm2, MatrixArg<T, S>(u), cache.norm2, ctx);
    const Matrix<T, S> y = Net::forward(c.net(), p.net, MatrixArg<T, S>(m), cache.net, ctx);
    cache.net_stream = ctx.next_stream();
    dropout(ctx, y, static_cast<float>(c.dropout), cache.net_stream);
    copy(ctx, u, y, Write::add);
    return y;
  }
};

}  // namespace simgr::SIMGR_ABI
