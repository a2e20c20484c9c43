// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/feed_forward.hpp>
#include <simgr/nn/own_value.hpp>
#include <simgr/nn/rms_norm.hpp>
#include <simgr/nn/unscaled_attention.hpp>

namespace simgr::SIMGR_ABI {

/// What a decoder reads besides its own sequences: the states of an encoder, a sequence of them for
/// each of its own. Empty for an encoder.
template <class T, class S = Host>
struct Memory {
  MatrixArg<T, S> states;  // [memory tokens, width]
  Offsets offsets;         // [sequences + 1]
};

/// One block of an encoder-decoder: unscaled attention within the sequence; in a decoder, to the
/// encoder's states; and a feed-forward net. Each reads a norm of x and adds to x.
///
///   x += D A(N1 x);   x += D M(N2 x, memory);   x += D F(N3 x)
///
/// @tparam Mask  Bidirectional: a block of an encoder, without M;  Causal: of a decoder;  Isolated: of
///               a decoder whose tokens know nothing of each other
/// @tparam Net   FeedForward<F, Gate>
///
/// Shapes      x, y [tokens, width];  relative of RelativePosition, shared by all blocks
/// Parameters  self_norm, self;  memory_norm, memory;  net_norm, net
/// Cache       those of the parts
/// Cost        those of the parts
/// Gradients   parameters, dmemory and drelative accumulate, dx is assigned
/// Source      Raffel et al. 2020, section 2.1; first values as in their published code
template <class Mask, class Net>
struct RelativeBlock {
  static constexpr bool reads_memory = !std::is_same_v<Mask, Bidirectional>;
  static constexpr bool isolated = std::is_same_v<Mask, Isolated>;
  using Self = std::conditional_t<isolated, OwnValue, UnscaledAttention<Mask>>;
  using ToMemory = UnscaledAttention<Bidirectional>;

  struct Config {
    Index width = 0, heads = 1, head_width = 0, inner = 0;
    double dropout = 0;  // of what is added, of attention probabilities, and inside the net
    double epsilon = 1e-6;
    Index tokens_per_position = 1;

    typename Self::Config self() const {
      if constexpr (isolated) {
        return {width, heads * head_width};
      } else {
        return {width, heads, head_width, dropout, tokens_per_position};
      }
    }
    ToMemory::Config memory() const { return {width, heads, head_width, dropout}; }
    RmsNorm::Config norm() const { return {width, epsilon}; }
    typename Net::Config net() const {
      const auto of_variance = [](Index inverse) {
        return Init::normal(1 / std::sqrt(static_cast<double>(inverse)));
      };
      return {width, inner, dropout, of_variance(width), of_variance(inner)};
    }
  };
  template <class T, class S = Host>
  struct Params {
    RmsNorm::Params<T, S> self_norm, memory_norm, net_norm;
    typename Self::template Params<T, S> self;
    ToMemory::Params<T, S> memory;
    typename Net::template Params<T, S> net;
  };
  template <class T, class S = Host>
  struct Cache {
    RmsNorm::Cache<T, S> self_norm, memory_norm, net_norm;
    typename Self::template Cache<T, S> self;
    ToMemory::Cache<T, S> memory;
    typename Net::template Cache<T, S> net;
    std::uint32_t self_stream = 0, memory_stream = 0, net_stream = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    RmsNorm::for_each_parameter(c.norm(), under("self_norm", f), p.self_norm...);
    Self::for_each_parameter(c.self(), under("self", f), p.self...);
    if constexpr (reads_memory) {
      RmsNorm::for_each_parameter(c.norm(), under("memory_norm", f), p.memory_norm...);
      ToMemory::for_each_parameter(c.memory(), under("memory", f), p.memory...);
    }
    RmsNorm::for_each_parameter(c.norm(), under("net_norm", f), p.net_norm...);
    Net::for_each_parameter(c.net(), under("net", f), p.net...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Offsets offsets, const Memory<T, S>& memory, MatrixArg<T, S> relative,
                              Cache<T, S>& cache, Ctx& ctx) {
    const MatrixArg<T, S> n = RmsNorm::forward(c.norm(), p.self_norm, x, cache.self_norm, ctx);
    MatrixArg<T, S> y = add(
        c, x, Self::forward(c.self(), p.self, n, n, offsets, offsets, relative, cache.self, ctx),
        cache.self_stream, ctx);
    if constexpr (reads_memory) {
      const Matrix<T, S> m = RmsNorm::forward(c.norm(), p.memory_norm, y, cache.memory_norm, ctx);
      y = add(c, y,
              ToMemory::forward(c.memory(), p.memory, MatrixArg<T, S>(m), memory.states, offsets,
                                memory.offsets, {}, cache.memory, ctx),
              cache.memory_stream, ctx);
    }
    return feed_forward(c, p, y, cache, ctx);
  }

  /// The last of the three: y = x + D F(N3 x).
  template <class T, class S, class Ctx>
  static Matrix<T, S> feed_forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                   Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> n = RmsNorm::forward(c.norm(), p.net_norm, x, cache.net_norm, ctx);
    return add(c, x, Net::forward(c.net(), p.net, MatrixArg<T, S>(n), cache.net, ctx),
               cache.net_stream, ctx);
  }

  // forward: see above.  x' = x + D f(N x):  dx = dx' + N'(f'(D dx'))
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Offsets offsets, Offsets memory_offsets,
                               Matrix<T, S> dmemory, Matrix<T, S> drelative,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const auto through_norm = [&](const RmsNorm::Params<T, S>& norm,
                                  const RmsNorm::Params<T, S>& norm_grad, MatrixArg<T, S> dn,
                                  const RmsNorm::Cache<T, S>& kept, MatrixArg<T, S> residual) {
      const Matrix<T, S> dx = RmsNorm::backward(c.norm(), norm, norm_grad, dn, kept, ctx);
      copy(ctx, residual, dx, Write::add);
      return dx;
    };
    Matrix<T, S> dn = Net::backward(c.net(), p.net, grad.net,
                                    dropped<T, S>(c, dy, cache.net_stream, ctx), cache.net, ctx);
    Matrix<T, S> dx = through_norm(p.net_norm, grad.net_norm, dn, cache.net_norm, dy);
    if constexpr (reads_memory) {
      dn = ToMemory::backward(c.memory(), p.memory, grad.memory,
                              dropped<T, S>(c, dx, cache.memory_stream, ctx), offsets,
                              memory_offsets, dmemory, {}, cache.memory, ctx);
      dx = through_norm(p.memory_norm, grad.memory_norm, dn, cache.memory_norm, dx);
    }
    dn = Self::backward(c.self(), p.self, grad.self, dropped<T, S>(c, dx, cache.self_stream, ctx),
                        offsets, offsets, {}, drelative, cache.self, ctx);
    return through_norm(p.self_norm, grad.self_norm, dn, cache.self_norm, dx);
  }

private:
  /// x + dropout(branch), in the memory of the branch.
  template <class T, class S, class Ctx>
  static Matrix<T, S> add(const Config& c, MatrixArg<T, S> x, Matrix<T, S> branch,
                          std::uint32_t& stream, Ctx& ctx) {
    stream = ctx.next_stream();
    dropout(ctx, branch, static_cast<float>(c.dropout), stream);
    copy(ctx, x, branch, Write::add);
    return branch;
  }
  template <class T, class S, class Ctx>
  static MatrixArg<T, S> dropped(const Config& c, MatrixArg<T, S> dy, std::uint32_t stream,
                                 Ctx& ctx) {
    const Matrix<T, S> dbranch = ctx.template take<T>(dy.rows(), dy.cols());
    copy(ctx, dy, dbranch, Write::assign);
    dropout(ctx, dbranch, static_cast<float>(c.dropout), stream);
    return dbranch;
  }
};

}  // namespace simgr::SIMGR_ABI
