// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// HSTU's block: attention by pointwise weights, and a gate in place of a feed-forward net.
///
///   u, v, q, k = silu(N(x) P);   o_i = 1/places Σ_{j <= i} silu(q_i · k_j + b(i, j)) v_j
///   y = x + dropout(u ∘ N(o)) W' + c
///   b(i, j) = of_place[j - i + places - 1] + of_time[bucket(i, j)]
///
/// N is a layer norm without gain and bias, over all heads for o. The divisor is a constant and not the
/// length. Bucket (i, j) is that of the time from t_j to t_(i+1), the moment that is predicted, whole
/// powers of 1.351 seconds; the last of a sequence takes its own.
///
/// Shapes      x, y [tokens, width];  packing of their sequences, without a shared beginning;
///             times [tokens], seconds, where there are time_buckets
/// Parameters  projected [width, heads (2 given + 2 asked)];  of_place [2 places - 1];
///             of_time [time_buckets + 1];  out.weight [width, heads · given], out.bias [width]
/// Cache       N(x), P N(x) before and after silu, scores [heads · Σ length²], and those of the parts
/// Cost        O(tokens · width · heads (3 given + 2 asked)) + heads (given + asked) Σ length²
/// Gradients   parameters accumulate, dx is assigned
/// Errors      a sequence of more than `places` tokens is a broken precondition
/// Source      Zhai et al. 2024 (HSTU), equations 1 to 3; divisor and buckets: their published code
struct PointwiseAggregation {
  struct Config {
    Index width = 0, heads = 1;
    Index asked = 0, given = 0;  // widths of a head: of queries and keys, of values
    Index places = 0;            // most tokens of a sequence
    bool place_bias = true;
    Index time_buckets = 0;  // 0: times are not read
    double dropout = 0;
    double epsilon = 1e-6;
    Init init = Init::normal(0.02);

    Index inner() const noexcept { return heads * given; }
    Index columns() const noexcept { return 2 * heads * (given + asked); }
    LayerNorm::Config norm() const { return {.width = width, .epsilon = epsilon, .affine = false}; }
    LayerNorm::Config inner_norm() const {
      return {.width = inner(), .epsilon = epsilon, .affine = false};
    }
    Linear::Config out() const { return {inner(), width}; }
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> projected;
    Vector<T, S> of_place, of_time;
    Linear::Params<T, S> out;
  };
  template <class T, class S = Host>
  struct Cache {
    LayerNorm::Cache<T, S> norm, inner_norm;
    Matrix<T, S> normed;                    // [tokens, width]
    Matrix<T, S> before, active;            // [tokens, columns]: u, v, q, k
    Vector<T, S> scores;                    // [heads · Σ length²]
    Matrix<T, S> calm;                      // [tokens, inner]: N(o)
    std::span<const std::int32_t> buckets;  // [Σ length²], or empty
    std::uint32_t stream = 0;
    Linear::Cache<T, S> out;
  };
  /// Nothing: keys and values are made anew.
  static Index kept_width(const Config&) noexcept { return 0; }

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"projected", {c.width, c.columns()}, c.init}, p.projected...);
    if (c.place_bias) {
      f(Spec<1>{"of_place", {2 * c.places - 1}, c.init, Decay::no}, p.of_place...);
    }
    if (c.time_buckets > 0) {
      f(Spec<1>{"of_time", {c.time_buckets + 1}, c.init, Decay::no}, p.of_time...);
    }
    Linear::for_each_parameter(c.out(), under("out", f), p.out...);
  }

  /// Of the pairs of each sequence, row by row; 0 above the diagonal, where nobody looks.
  static void fill_buckets(Offsets offsets, std::span<const std::int64_t> times, Index buckets,
                           std::span<std::int32_t> into) {
    std::size_t at = 0;
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      const auto first = static_cast<std::size_t>(offsets[s]),
                 end = static_cast<std::size_t>(offsets[s + 1]);
      for (std::size_t i = first; i < end; ++i) {
        const std::int64_t asked = times[std::min(i + 1, end - 1)];
        for (std::size_t j = first; j < end; ++j, ++at) {
          const auto apart = static_cast<float>(
              std::max<std::int64_t>(1, asked > times[j] ? asked - times[j] : times[j] - asked));
          into[at] = j > i ? 0
                           : static_cast<std::int32_t>(
                                 std::min(buckets, static_cast<Index>(std::log(apart) / 0.301f)));
        }
      }
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              const Packing& packing, Cache<T, S>& cache, Ctx& ctx,
                              std::span<const std::int64_t> times = {}) {
    const Matrix<T, S> kept = gated(c, p, x, packing, times, cache, ctx);
    cache.stream = ctx.next_stream();
    dropout(ctx, kept, static_cast<float>(c.dropout), cache.stream);
    const Matrix<T, S> y = Linear::forward(c.out(), p.out, MatrixArg<T, S>(kept), cache.out, ctx);
    copy(ctx, x, y, Write::add);
    return y;
  }
  /// For serving: no dropout.
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_all(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                const Packing& packing, Matrix<T, S>, Ctx& ctx) {
    Cache<T, S> cache;
    const Matrix<T, S> kept = gated(c, p, x, packing, {}, cache, ctx);
    const Matrix<T, S> y = Linear::forward(c.out(), p.out, MatrixArg<T, S>(kept), cache.out, ctx);
    copy(ctx, x, y, Write::add);
    return y;
  }
  /// The rows `last` of it alone.   -> [sequences, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                 const Packing& packing, std::span<const std::int32_t> last,
                                 Matrix<T, S>, Ctx& ctx) {
    Cache<T, S> cache;
    const auto count = static_cast<Index>(last.size());
    const Matrix<T, S> all = gated(c, p, x, packing, {}, cache, ctx),
                       kept = ctx.template take<T>(count, c.inner()),
                       before = ctx.template take<T>(count, c.width);
    gather_rows(ctx, all, last, kept);
    gather_rows(ctx, x, last, before);
    const Matrix<T, S> y = Linear::forward(c.out(), p.out, MatrixArg<T, S>(kept), cache.out, ctx);
    copy(ctx, before, y, Write::add);
    return y;
  }

  // forward: z = n P, a = silu(z) = (u, v, q, k);  m = N(o);  g = u ∘ m;  y = x + g W' + c.
  // dg = dy W;  du = dg ∘ m;  do = N'(dg ∘ u);  dz = silu'(z) da;  dP += n' dz;
  // dx = dy + N'(dz P')
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Packing& packing, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const Index rows = dy.rows();
    const Matrix<T, S> dg = Linear::backward(c.out(), p.out, grad.out, dy, cache.out, ctx);
    dropout(ctx, dg, static_cast<float>(c.dropout), cache.stream);
    const Matrix<T, S> da = ctx.template take<T>(rows, c.columns());
    const Matrix<T, S> dcalm = ctx.template take<T>(rows, c.inner());
    for (Index t = 0; t < rows; ++t) {
      multiply(ctx, dg.row(t), cache.calm.row(t), da.row(t).slice(0, c.inner()));
      multiply(ctx, dg.row(t), cache.active.row(t).slice(0, c.inner()), dcalm.row(t));
    }
    const Matrix<T, S> d_o =
        LayerNorm::backward(c.inner_norm(), {}, {}, MatrixArg<T, S>(dcalm), cache.inner_norm, ctx);
    const Vector<T, S> dbiases =
        ctx.template take<T>(probability_count(packing.offsets, packing.offsets, 1));
    fill(ctx, dbiases, T(0));
    const Parts<const T, S> a(c, cache.active);
    const Parts<T, S> into(c, da);
    pointwise_attention_backward(ctx, packing.offsets, c.heads, share<T>(c), a.q, a.k, a.v,
                                 cache.scores, d_o, into.q, into.k, into.v, dbiases);
    pair_biases_backward(ctx, packing.offsets, dbiases, cache.buckets, grad.of_place, grad.of_time);
    activate_backward(ctx, Silu{}, cache.before, da, da);
    gemm_tn(ctx, cache.normed, da, grad.projected, Write::add);
    const Matrix<T, S> dn = ctx.template take<T>(rows, c.width);
    gemm_nt(ctx, da, p.projected, dn, Write::assign);
    const Matrix<T, S> dx =
        LayerNorm::backward(c.norm(), {}, {}, MatrixArg<T, S>(dn), cache.norm, ctx);
    copy(ctx, dy, dx, Write::add);
    return dx;
  }

private:
  /// Queries, keys and values among the columns.
  template <class T, class S>
  struct Parts {
    Columns<T, S> v, q, k;
    Parts(const Config& c, Matrix<T, S> all)
        : v{all, c.inner()}, q{all, 2 * c.inner()}, k{all, 2 * c.inner() + c.heads * c.asked} {}
  };
  template <class T>
  static T share(const Config& c) {
    return T(1) / static_cast<T>(c.places);
  }
  /// u ∘ N(o)
  template <class T, class S, class Ctx>
  static Matrix<T, S> gated(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                            const Packing& packing, std::span<const std::int64_t> times,
                            Cache<T, S>& cache, Ctx& ctx) {
    SIMGR_ASSERT(!packing.shared, "a shared beginning");
    const Index rows = x.rows(), pairs = probability_count(packing.offsets, packing.offsets, 1);
    cache.normed = LayerNorm::forward(c.norm(), {}, x, cache.norm, ctx);
    cache.before = ctx.template take<T>(rows, c.columns());
    cache.active = ctx.template take<T>(rows, c.columns());
    gemm_nn(ctx, cache.normed, p.projected, cache.before, Write::assign);
    activate(ctx, Silu{}, cache.before, cache.active);
    cache.buckets = {};
    if (c.time_buckets > 0) {
      const auto buckets = ctx.template take<std::int32_t>(pairs);
      fill_buckets(packing.offsets, times, c.time_buckets, buckets.span());
      cache.buckets = std::span<const std::int32_t>(buckets.span());
    }
    const Vector<T, S> biases = ctx.template take<T>(pairs);
    pair_biases(ctx, packing.offsets, p.of_place, p.of_time, cache.buckets, biases);
    cache.scores = ctx.template take<T>(c.heads * pairs);
    const Matrix<T, S> o = ctx.template take<T>(rows, c.inner()),
                       y = ctx.template take<T>(rows, c.inner());
    const Parts<const T, S> a(c, cache.active);
    pointwise_attention(ctx, packing.offsets, c.heads, share<T>(c), a.q, a.k, a.v, biases,
                        cache.scores, o);
    cache.calm = LayerNorm::forward(c.inner_norm(), {}, MatrixArg<T, S>(o), cache.inner_norm, ctx);
    for (Index t = 0; t < rows; ++t) {
      multiply(ctx, cache.active.row(t).slice(0, c.inner()), cache.calm.row(t), y.row(t));
    }
    return y;
  }
};

}  // namespace simgr::SIMGR_ABI
