// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <span>

#include <simgr/core/fields.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/flow.hpp>

// Poolers of states that make one row of a whole sequence, so they train on one example for each
// prefix. All are a weighted sum of the states h_t over the tokens t of sequence s, and differ in the
// weights. The protocol is that of pooler/positions.hpp; every sequence has at least one token.
//
//   SequenceMean            w_t = 1 / length
//   SequenceAttention       w   = softmax_t(query · h_t / sqrt(width)): one learned query
//   SequenceGate            w_t = σ(gate · h_t + b) / length
//   SequenceCrossAttention  w   = softmax_t(Q h_last · K h_t / sqrt(width)), and V h_t is summed
//
// Weights are a type with
//
//   Params, Cache, for_each_parameter(PoolerShape, f, params...)
//   forward(shape, params, states, offsets, weights, cache, ctx)      weights [tokens] are assigned
//   backward(shape, params, grad, states, offsets, weights, dweights, dstates, cache, ctx)
//                                       dstates accumulates, dweights may be overwritten

namespace simgr::SIMGR_ABI {

namespace detail {

template <class T, class S>
Matrix<T, S> as_column(Vector<T, S> x) {
  return {x.data(), {x.size(), 1}};
}
template <class T, class S>
Matrix<T, S> as_one_row(Vector<T, S> x) {
  return {x.data(), {1, x.size()}};
}

template <class T>
T inverse_root(const PoolerShape& shape) {
  return T(1) / std::sqrt(static_cast<T>(shape.width));
}

/// weights(t) = 1 / length of the sequence of t.
struct EvenWeights {
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {};
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape&, F&&, P&...) {}

  template <class T, class S>
  static void fill(Offsets offsets, Vector<T, S> weights) {
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      const T share = T(1) / static_cast<T>(offsets[s + 1] - offsets[s]);
      for (Index t = offsets[s]; t < offsets[s + 1]; ++t) { weights[t] = share; }
    }
  }
  template <class T, class S, class Ctx>
  static void forward(const PoolerShape&, const Params<T, S>&, MatrixArg<T, S>, Offsets offsets,
                      Vector<T, S> weights, Cache<T, S>&, Ctx&) {
    fill(offsets, weights);
  }
  template <class T, class S, class Ctx>
  static void backward(const PoolerShape&, const Params<T, S>&, const Params<T, S>&,
                       MatrixArg<T, S>, Offsets, Vector<T, S>, Vector<T, S>, Matrix<T, S>,
                       const Cache<T, S>&, Ctx&) {}
};

/// weights = softmax_t(query · h_t / sqrt(width))
struct AttentionWeights {
  template <class T, class S = Host>
  struct Params {
    Vector<T, S> query;
  };
  template <class T, class S = Host>
  struct Cache {};
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    f(Spec<1>{"query", {shape.width}, Init::normal(0.02), Decay::no}, p.query...);
  }

  template <class T, class S, class Ctx>
  static void forward(const PoolerShape& shape, const Params<T, S>& p, MatrixArg<T, S> states,
                      Offsets offsets, Vector<T, S> weights, Cache<T, S>&, Ctx& ctx) {
    gemm_nt(ctx, states, as_one_row(p.query), as_column(weights), Write::assign);
    scale(ctx, weights, inverse_root<T>(shape));
    softmax_sequences(ctx, offsets, weights);
  }
  // forward: a = softmax(z),  z = h · q / r.   dz = a (da - Σ a da) / r;  dq += Σ dz h;  dh += dz q
  template <class T, class S, class Ctx>
  static void backward(const PoolerShape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> states, Offsets offsets, Vector<T, S> weights,
                       Vector<T, S> dz, Matrix<T, S> dstates, const Cache<T, S>&, Ctx& ctx) {
    softmax_sequences_backward(ctx, offsets, weights, dz, dz);
    scale(ctx, dz, inverse_root<T>(shape));
    gemm_tn(ctx, as_column(dz), states, as_one_row(grad.query), Write::add);
    gemm_nn(ctx, as_column(dz), as_one_row(p.query), dstates, Write::add);
  }
};

/// weights(t) = σ(gate · h_t + b) / length
struct GateWeights {
  template <class T, class S = Host>
  struct Params {
    Vector<T, S> weight, bias;
  };
  template <class T, class S = Host>
  struct Cache {
    Matrix<T, S> gates;   // [tokens, 1], before the sigmoid
    Vector<T, S> shares;  // [tokens]: 1 / length
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    f(Spec<1>{"gate.weight", {shape.width}, Init::normal(0.02), Decay::no}, p.weight...);
    f(Spec<1>{"gate.bias", {1}, Init::zeros(), Decay::no}, p.bias...);
  }

  template <class T, class S, class Ctx>
  static void forward(const PoolerShape&, const Params<T, S>& p, MatrixArg<T, S> states,
                      Offsets offsets, Vector<T, S> weights, Cache<T, S>& cache, Ctx& ctx) {
    cache = {ctx.template take<T>(weights.size(), 1), ctx.template take<T>(weights.size())};
    gemm_nt(ctx, states, as_one_row(p.weight), cache.gates, Write::assign);
    add_to_rows(ctx, p.bias, cache.gates);
    activate(ctx, Sigmoid{}, cache.gates, as_column(weights));
    EvenWeights::fill(offsets, cache.shares);
    multiply(ctx, cache.shares, weights, weights);
  }
  // forward: w = σ(z) / n,  z = gate · h + b.
  // dz = σ'(z) dw / n;  dgate += Σ dz h;  db += Σ dz;  dh += dz gate
  template <class T, class S, class Ctx>
  static void backward(const PoolerShape&, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> states, Offsets, Vector<T, S>, Vector<T, S> dweights,
                       Matrix<T, S> dstates, const Cache<T, S>& cache, Ctx& ctx) {
    multiply(ctx, cache.shares, dweights, dweights);
    const Matrix<T, S> dz = as_column(dweights);
    activate_backward(ctx, Sigmoid{}, cache.gates, dz, dz);
    add_column_sums(ctx, dz, grad.bias);
    gemm_tn(ctx, dz, states, as_one_row(grad.weight), Write::add);
    gemm_nn(ctx, dz, as_one_row(p.weight), dstates, Write::add);
  }
};

/// weights = softmax_t(K' Q h_last · h_t / sqrt(width)); the sum goes through V: Σ w V h = V Σ w h.
struct LastAsksWeights {
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> query, key, value;
  };
  template <class T, class S = Host>
  struct Cache {
    std::span<const std::int32_t> ends;  // [sequences]: the last tokens
    Matrix<T, S> last, asked, moved;     // [sequences, width]: h_last, Q h_last and K' Q h_last
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    f(Spec<2>{"query.weight", {shape.width, shape.width}, Init::xavier()}, p.query...);
    f(Spec<2>{"key.weight", {shape.width, shape.width}, Init::xavier()}, p.key...);
    f(Spec<2>{"value.weight", {shape.width, shape.width}, Init::xavier()}, p.value...);
  }

  template <class T, class S, class Ctx>
  static void forward(const PoolerShape& shape, const Params<T, S>& p, MatrixArg<T, S> states,
                      Offsets offsets, Vector<T, S> weights, Cache<T, S>& cache, Ctx& ctx) {
    const Index count = static_cast<Index>(offsets.size()) - 1;
    const auto ends = ctx.template take<std::int32_t>(count);
    for (Index s = 0; s < count; ++s) {
      ends[s] = static_cast<std::int32_t>(offsets[static_cast<std::size_t>(s) + 1] - 1);
    }
    const auto take = [&] { return ctx.template take<T>(count, shape.width); };
    cache = {std::span<const std::int32_t>(ends.span()), take(), take(), take()};
    gather_rows(ctx, states, cache.ends, cache.last);
    gemm_nt(ctx, cache.last, p.query, cache.asked, Write::assign);
    gemm_nn(ctx, cache.asked, p.key, cache.moved, Write::assign);
    dots_with_sequence(ctx, cache.moved, states, offsets, inverse_root<T>(shape), weights);
    softmax_sequences(ctx, offsets, weights);
  }
  // forward: a = softmax(m · h / r),  m = q K,  q = h_last Q'.
  // dz = a (da - Σ a da);  dm = Σ dz h / r;  dh += dz m / r;
  // dK += q' dm;  dq = dm K';  dQ += dq' h_last;  dh_last += dq Q
  template <class T, class S, class Ctx>
  static void backward(const PoolerShape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> states, Offsets offsets, Vector<T, S> weights,
                       Vector<T, S> dz, Matrix<T, S> dstates, const Cache<T, S>& cache, Ctx& ctx) {
    softmax_sequences_backward(ctx, offsets, weights, dz, dz);
    const auto take = [&](Index rows) { return ctx.template take<T>(rows, shape.width); };
    const Matrix<T, S> dmoved = take(cache.last.rows()), dasked = take(cache.last.rows()),
                       dlast = take(cache.last.rows()), through = take(states.rows());
    dots_with_sequence_backward(ctx, cache.moved, states, offsets, inverse_root<T>(shape), dz,
                                dmoved, through);
    copy(ctx, through, dstates, Write::add);
    gemm_tn(ctx, cache.asked, dmoved, grad.key, Write::add);
    gemm_nt(ctx, dmoved, p.key, dasked, Write::assign);
    gemm_tn(ctx, dasked, cache.last, grad.query, Write::add);
    gemm_nn(ctx, dasked, p.query, dlast, Write::assign);
    scatter_add_rows(ctx, dlast, cache.ends, T(1), dstates);
  }
};

}  // namespace detail

/// y_s = Σ_t w_t h_t over the tokens of sequence s, or V times that where the weights have a V.
///
/// @tparam Weights   what each state counts
///
/// Shapes      states [tokens, width] -> y [sequences, width]
/// Parameters  those of the weights: none; query [width]; gate.weight [width] and gate.bias [1];
///             query.weight, key.weight and value.weight [width, width]
/// Cost        O(tokens · width), and O(sequences · width²) where there are matrices
template <class Weights>
struct SequenceSum {
  using In = flow::TokenStates;
  using Out = flow::UserStates;
  using Config = NoFields;
  static constexpr Examples examples = Examples::every_prefix;

  template <class T, class S = Host>
  using Params = typename Weights::template Params<T, S>;
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> states;
    Vector<T, S> weights;  // [tokens]
    Matrix<T, S> sums;     // [sequences, width]
    typename Weights::template Cache<T, S> own;
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    Weights::for_each_parameter(shape, f, p...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>& p,
                              MatrixArg<T, S> states, Offsets offsets, Cache<T, S>& cache,
                              Ctx& ctx) {
    const Index sequences = static_cast<Index>(offsets.size()) - 1;
    cache.states = states;
    cache.weights = ctx.template take<T>(states.rows());
    cache.sums = ctx.template take<T>(sequences, shape.width);
    Weights::forward(shape, p, states, offsets, cache.weights, cache.own, ctx);
    sum_sequences(ctx, cache.weights, states, offsets, cache.sums);
    if constexpr (requires { p.value; }) {
      const Matrix<T, S> y = ctx.template take<T>(sequences, shape.width);
      gemm_nt(ctx, cache.sums, p.value, y, Write::assign);
      return y;
    } else {
      return cache.sums;
    }
  }

  // forward: y = V u,  u = Σ w h.   dV += dy' u;  du = dy V;  dh = w du;  dw = h · du
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>& p,
                               const Params<T, S>& grad, MatrixArg<T, S> dy, Offsets offsets,
                               const Cache<T, S>& cache, Ctx& ctx) {
    MatrixArg<T, S> dsums = dy;
    if constexpr (requires { p.value; }) {
      gemm_tn(ctx, dy, cache.sums, grad.value, Write::add);
      const Matrix<T, S> through = ctx.template take<T>(dy.rows(), shape.width);
      gemm_nn(ctx, dy, p.value, through, Write::assign);
      dsums = through;
    }
    Matrix<T, S> dstates = ctx.template take<T>(cache.states.rows(), shape.width);
    const Vector<T, S> dweights = ctx.template take<T>(cache.states.rows());
    sum_sequences_backward(ctx, cache.weights, cache.states, offsets, dsums, dstates, dweights);
    Weights::backward(shape, p, grad, cache.states, offsets, cache.weights, dweights, dstates,
                      cache.own, ctx);
    return dstates;
  }
};

using SequenceMean = SequenceSum<detail::EvenWeights>;
using SequenceAttention = SequenceSum<detail::AttentionWeights>;
using SequenceGate = SequenceSum<detail::GateWeights>;
using SequenceCrossAttention = SequenceSum<detail::LastAsksWeights>;

}  // namespace simgr::SIMGR_ABI
