// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/token_tree.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/lora.hpp>

namespace simgr::SIMGR_ABI {

/// Multi-head self-attention over packed sequences.
///
///   [q | k | v] = [x_q | x | x] W' + b;   P = dropout(softmax(mask(q k' / sqrt(width / heads))))
///   y = (P v) O' + o,  or P v where not `projected`
///
/// Rows of different sequences never see each other; `packing` says where each begins. Usually x_q
/// is x, but queries may be read from other rows (SASRec normalises the query alone).
///
/// With adapters an update of low rank may stand beside each of q, k and v, or one beside all three, and
/// one beside O; then x_q is x.
///
/// @tparam Mask        which positions a query may see: Causal or Bidirectional
/// @tparam Projection  Linear, or Lora<Linear> to train adapters on a frozen base
///
/// Shapes      x_q, x, y [tokens, width];  packing of their sequences
/// Parameters  qkv.weight [3 width, width], qkv.bias [3 width];
///             out.weight [width, width], out.bias [width] where `projected`;
///             of adapters query.a, query.b …, qkv.a, qkv.b, and those of O
/// Cache       q, k, v [tokens, 3 width];  probabilities, one [t, t] block per sequence and head
/// Cost        O(tokens · width²) products + O(Σ t² · width) attention;  memory Σ heads · t²
/// Gradients   parameters accumulate, the gradients of x_q and x are assigned
/// Errors      ConfigError if width % heads != 0 (checked once, when the model is built)
/// Source      Vaswani et al. 2017, section 3.2; masking as in Kang & McAuley 2018, section III-B
template <class Mask, class Projection = Linear>
struct SelfAttention {
  static constexpr bool adapted = has_adapters<Projection>;
  /// An update beside some rows of the stacked map, in widths.
  struct Update {
    const char* name;
    bool Adapters::*wanted;
    Index begin, rows;
  };
  static constexpr std::array<Update, adapted ? 4 : 0> stacked = [] {
    if constexpr (adapted) {
      return std::array<Update, 4>{{{"query", &Adapters::query, 0, 1},
                                    {"key", &Adapters::key, 1, 1},
                                    {"value", &Adapters::value, 2, 1},
                                    {"qkv", &Adapters::joint, 0, 3}}};
    } else {
      return std::array<Update, 0>{};
    }
  }();

  struct Config {
    Index width = 0, heads = 1;
    double dropout = 0;     // of the probabilities
    bool projected = true;  // the output map O; SASRec's own code has none
    Init init = Init::xavier();
    Adapters adapters{};

    Linear::Config qkv() const { return {width, 3 * width, true, init}; }
    typename Projection::Config out() const {
      return projection<Projection>({width, width, true, init}, adapters, &Adapters::out);
    }
    LowRank::Config update(std::size_t i) const {
      return {width, stacked[i].rows * width, adapters.*stacked[i].wanted ? adapters.rank : 0,
              adapters.alpha, adapters.dropout};
    }
    bool frozen() const { return frozen_beside<Projection>(adapters); }
    HeadShape shape() const { return {heads, heads, width / heads}; }
  };
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> qkv;
    typename Projection::template Params<T, S> out;
    std::array<LowRank::Params<T, S>, stacked.size()> updates;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> queries_from, x;
    Matrix<T, S> q, kv;  // one [tokens, 3 width], q is kv; or [tokens, width] and [tokens, 2 width]
    Vector<T, S> probabilities;
    std::uint32_t stream = 0;
    typename Projection::template Cache<T, S> out;
    std::array<LowRank::Cache<T, S>, stacked.size()> updates;

    bool joint() const noexcept { return q.data() == kv.data(); }
    Index first_key(Index width) const noexcept { return joint() ? width : 0; }
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    auto of_base = [&](auto spec, auto&... views) {
      spec.trained = c.frozen() ? Trained::no : spec.trained;
      f(spec, views...);
    };
    Linear::for_each_parameter(c.qkv(), under("qkv", of_base), p.qkv...);
    if (c.projected) {
      Projection::for_each_parameter(c.out(), under("out", f), p.out...);
    }
    if constexpr (adapted) {
      for (std::size_t i = 0; i < stacked.size(); ++i) {
        LowRank::for_each_parameter(c.update(i), under(stacked[i].name, f), p.updates[i]...);
      }
    }
  }

  /// `x_q` and `x` [tokens, width]; pass the same view twice for plain self-attention.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x_q,
                              MatrixArg<T, S> x, const Packing& packing, Cache<T, S>& cache,
                              Ctx& ctx) {
    const Index width = c.width, tokens = x.rows();
    cache.queries_from = x_q;
    cache.x = x;
    cache.stream = ctx.next_stream();
    if (x_q.data() == x.data()) {
      cache.q = cache.kv = ctx.template take<T>(tokens, 3 * width);
      affine_rows(ctx, x, p.qkv.weight, p.qkv.bias, cache.kv);
      if constexpr (adapted) {
        update(c, p, x, 0, cache.kv, cache.updates, ctx);
      }
    } else {
      SIMGR_ASSERT(!adapted, "adapters of queries of other rows");
      cache.q = ctx.template take<T>(tokens, width);
      cache.kv = ctx.template take<T>(tokens, 2 * width);
      affine_rows(ctx, x_q, p.qkv.weight.slice(0, width), p.qkv.bias.slice(0, width), cache.q);
      affine_rows(ctx, x, p.qkv.weight.slice(width, 2 * width), p.qkv.bias.slice(width, 2 * width),
                  cache.kv);
    }
    const Index key = cache.first_key(width);
    cache.probabilities = ctx.template take<T>(probability_count(packing, c.heads));
    Matrix<T, S> mixed = ctx.template take<T>(tokens, width);
    attention(ctx, Mask{}, Columns<const T, S>{cache.q, 0}, Columns<const T, S>{cache.kv, key},
              Columns<const T, S>{cache.kv, key + width}, packing, c.shape(),
              static_cast<float>(c.dropout), cache.stream, cache.probabilities, mixed);
    return c.projected ? Projection::forward(c.out(), p.out, mixed, cache.out, ctx) : mixed;
  }

  // For serving: no dropout, and nothing for backward. What tokens are to be attended to later are
  // their keys and values, side by side, which the caller keeps:  kv [tokens, 2 width].

  /// All positions.   x_q, x, y [tokens, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_all(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x_q,
                                MatrixArg<T, S> x, const Packing& packing, Matrix<T, S> kv,
                                Ctx& ctx) {
    const Matrix<T, S> q = queries(c, p, x_q, ctx);
    keys_and_values(c, p, x, kv, ctx);
    const Matrix<T, S> mixed = ctx.template take<T>(x_q.rows(), c.width);
    attention_of_all(ctx, Mask{}, Columns<const T, S>{q, 0}, Columns<const T, S>{kv, 0},
                     Columns<const T, S>{kv, c.width}, packing, c.shape(), mixed);
    return project(c, p, mixed, ctx);
  }
  /// The last position of each sequence alone.
  ///
  /// Shapes  x_q, y [sequences, width];  x [tokens, width];  no sequence is empty
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x_q,
                                 MatrixArg<T, S> x, const Packing& packing, Matrix<T, S> kv,
                                 Ctx& ctx) {
    const Matrix<T, S> q = queries(c, p, x_q, ctx);
    keys_and_values(c, p, x, kv, ctx);
    const Matrix<T, S> mixed = ctx.template take<T>(x_q.rows(), c.width);
    attention_of_last(ctx, q, Columns<const T, S>{kv, 0}, Columns<const T, S>{kv, c.width}, packing,
                      c.shape(), mixed);
    return project(c, p, mixed, ctx);
  }
  /// The last level of a token tree: each node as the last position of its history and path.
  ///
  /// @param history  keys and values of the histories [tokens, 2 width]
  /// @param levels   those of each level of the tree; the last one is written
  ///
  /// Shapes  x_q, x, y [nodes, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_nodes(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x_q,
                                  MatrixArg<T, S> x, Matrix<T, S> history,
                                  std::span<const Matrix<T, S>> levels, const TokenTree<S>& tree,
                                  Ctx& ctx) requires std::is_same_v<Mask, Causal> {
    const Matrix<T, S> q = queries(c, p, x_q, ctx);
    keys_and_values(c, p, x, levels.back(), ctx);
    const Matrix<T, S> mixed = ctx.template take<T>(x_q.rows(), c.width);
    attention_of_nodes(ctx, q, Columns<const T, S>{history, 0},
                       Columns<const T, S>{history, c.width}, levels, tree, c.shape(), mixed);
    return project(c, p, mixed, ctx);
  }

  /// Gradients of x_q and x. Where both came from one view, both members are the one matrix that
  /// holds its whole gradient.
  template <class T, class S>
  struct InputGradient {
    Matrix<T, S> queries_from, x;
  };

  // forward: see above.  The projections are one product, so dW of all three is one product, too.
  template <class T, class S, class Ctx>
  static InputGradient<T, S> backward(const Config& c, const Params<T, S>& p,
                                      const Params<T, S>& grad, MatrixArg<T, S> dy,
                                      const Packing& packing, const Cache<T, S>& cache, Ctx& ctx) {
    const Index width = c.width, tokens = dy.rows();
    const MatrixArg<T, S> dmixed =
        c.projected
            ? MatrixArg<T, S>(Projection::backward(c.out(), p.out, grad.out, dy, cache.out, ctx))
            : dy;
    const Index key = cache.first_key(width);
    Matrix<T, S> dq, dkv;
    if (cache.joint()) {
      dq = dkv = ctx.template take<T>(tokens, 3 * width);
    } else {
      dq = ctx.template take<T>(tokens, width);
      dkv = ctx.template take<T>(tokens, 2 * width);
    }
    attention_backward(ctx, Columns<const T, S>{cache.q, 0}, Columns<const T, S>{cache.kv, key},
                       Columns<const T, S>{cache.kv, key + width}, packing, c.shape(),
                       static_cast<float>(c.dropout), cache.stream, cache.probabilities, dmixed,
                       Columns<T, S>{dq, 0}, Columns<T, S>{dkv, key},
                       Columns<T, S>{dkv, key + width});
    if (cache.joint()) {
      if (!c.frozen()) {
        gemm_tn(ctx, dkv, cache.x, grad.qkv.weight, Write::add);
        add_column_sums(ctx, dkv, grad.qkv.bias);
      }
      Matrix<T, S> dx = ctx.template take<T>(tokens, width);
      gemm_nn(ctx, dkv, p.qkv.weight, dx, Write::assign);
      if constexpr (adapted) {
        update_backward(c, p, grad, dkv, dx, cache, ctx);
      }
      return {dx, dx};
    }
    gemm_tn(ctx, dq, cache.queries_from, grad.qkv.weight.slice(0, width), Write::add);
    add_column_sums(ctx, dq, grad.qkv.bias.slice(0, width));
    gemm_tn(ctx, dkv, cache.x, grad.qkv.weight.slice(width, 2 * width), Write::add);
    add_column_sums(ctx, dkv, grad.qkv.bias.slice(width, 2 * width));
    InputGradient<T, S> gradient{ctx.template take<T>(tokens, width),
                                 ctx.template take<T>(tokens, width)};
    gemm_nn(ctx, dq, p.qkv.weight.slice(0, width), gradient.queries_from, Write::assign);
    gemm_nn(ctx, dkv, p.qkv.weight.slice(width, 2 * width), gradient.x, Write::assign);
    return gradient;
  }

private:
  /// Adds updates to columns of [q | k | v].
  ///
  /// @param y      [rows, its columns]; the first of them is column `first` of all
  template <class T, class S, class Ctx>
  static void update(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x, Index first,
                     Matrix<T, S> y, std::array<LowRank::Cache<T, S>, stacked.size()>& caches,
                     Ctx& ctx) {
    for (std::size_t i = 0; i < stacked.size(); ++i) {
      LowRank::Config config = c.update(i);
      const Index begin = std::max(stacked[i].begin * c.width, first),
                  end = std::min(stacked[i].begin * c.width + config.out, first + y.cols());
      if (config.rank == 0 || begin >= end) {
        continue;
      }
      LowRank::Params<T, S> part = p.updates[i];
      part.b = part.b.slice(begin - stacked[i].begin * c.width, end - begin);
      config.out = end - begin;
      if (config.out == y.cols()) {
        LowRank::forward(config, part, x, y, Write::add, caches[i], ctx);
        continue;
      }
      const Matrix<T, S> added = ctx.template take<T>(y.rows(), config.out);
      LowRank::forward(config, part, x, added, Write::assign, caches[i], ctx);
      copy_to_columns(ctx, added, Columns<T, S>{y, begin - first}, Write::add);
    }
  }
  /// Adds to dx what came by the updates.   dy [tokens, 3 width]
  template <class T, class S, class Ctx>
  static void update_backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                              Matrix<T, S> dy, Matrix<T, S> dx, const Cache<T, S>& cache,
                              Ctx& ctx) {
    for (std::size_t i = 0; i < stacked.size(); ++i) {
      const LowRank::Config config = c.update(i);
      if (config.rank == 0) {
        continue;
      }
      Matrix<T, S> own = dy;
      if (config.out != dy.cols()) {
        own = ctx.template take<T>(dy.rows(), config.out);
        copy_of_columns(ctx, Columns<const T, S>{dy, stacked[i].begin * c.width}, own);
      }
      LowRank::backward(config, p.updates[i], grad.updates[i], MatrixArg<T, S>(own), dx,
                        cache.updates[i], ctx);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> queries(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x, Ctx& ctx) {
    const Matrix<T, S> q = ctx.template take<T>(x.rows(), c.width);
    affine_rows(ctx, x, p.qkv.weight.slice(0, c.width), p.qkv.bias.slice(0, c.width), q);
    if constexpr (adapted) {
      Cache<T, S> cache;
      update(c, p, x, 0, q, cache.updates, ctx);
    }
    return q;
  }
  template <class T, class S, class Ctx>
  static void keys_and_values(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              Matrix<T, S> kv, Ctx& ctx) {
    affine_rows(ctx, x, p.qkv.weight.slice(c.width, 2 * c.width),
                p.qkv.bias.slice(c.width, 2 * c.width), kv);
    if constexpr (adapted) {
      Cache<T, S> cache;
      update(c, p, x, c.width, kv, cache.updates, ctx);
    }
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> project(const Config& c, const Params<T, S>& p, Matrix<T, S> mixed,
                              Ctx& ctx) {
    typename Projection::template Cache<T, S> cache;
    return c.projected ? Projection::forward(c.out(), p.out, mixed, cache, ctx) : mixed;
  }
};

}  // namespace simgr::SIMGR_ABI
