// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/fields.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/flow.hpp>

// Poolers of states that make one row of a whole sequence, so they train on one example for each
// prefix. All are a weighted sum of the states,  y_s = Σ_t w_t h_t,  over the tokens t of sequence
// s. The protocol is that of pooler/positions.hpp; every sequence has at least one token.
//
//   SequenceMean            w_t = 1 / length
//   SequenceAttention       w   = softmax_t(query · h_t / sqrt(width)): one learned query
//   SequenceGate            w_t = σ(gate · h_t + b) / length
//   SequenceCrossAttention  w   = softmax_t(Q h_last · K h_t / sqrt(width)), and V h_t is summed

namespace simgr::SIMGR_ABI {

namespace detail {

/// weights(t) = 1 / length of the sequence of t.
template <class T, class S>
void even_weights(Offsets offsets, Vector<T, S> weights) {
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const T share = T(1) / static_cast<T>(offsets[s + 1] - offsets[s]);
    for (Index t = offsets[s]; t < offsets[s + 1]; ++t) { weights[t] = share; }
  }
}

template <class T, class S>
Matrix<T, S> as_column(Vector<T, S> x) {
  return {x.data(), {x.size(), 1}};
}
template <class T, class S>
Matrix<T, S> as_one_row(Vector<T, S> x) {
  return {x.data(), {1, x.size()}};
}

inline Index sequences(Offsets offsets) {
  return static_cast<Index>(offsets.size()) - 1;
}

}  // namespace detail

/// y_s = mean of the states of sequence s.
struct SequenceMean {
  using In = flow::TokenStates;
  using Out = flow::UserStates;
  using Config = NoFields;
  static constexpr Examples examples = Examples::every_prefix;

  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> states;
    Vector<T, S> weights;  // [tokens]
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>&, MatrixArg<T, S> states,
                              Offsets offsets, Cache<T, S>& cache, Ctx& ctx) {
    cache = {states, ctx.template take<T>(states.rows())};
    detail::even_weights(offsets, cache.weights);
    Matrix<T, S> y = ctx.template take<T>(detail::sequences(offsets), shape.width);
    sum_sequences(ctx, cache.weights, states, offsets, y);
    return y;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>&, const Params<T, S>&,
                               MatrixArg<T, S> dy, Offsets offsets, const Cache<T, S>& cache,
                               Ctx& ctx) {
    Matrix<T, S> dstates = ctx.template take<T>(cache.states.rows(), shape.width);
    const Vector<T, S> unused = ctx.template take<T>(cache.states.rows());
    sum_sequences_backward(ctx, cache.weights, cache.states, offsets, dy, dstates, unused);
    return dstates;
  }
};

/// y_s = Σ_t a_t h_t,   a = softmax_t(query · h_t / sqrt(width)) over the tokens of sequence s.
///
/// Parameters  query [width]
struct SequenceAttention {
  using In = flow::TokenStates;
  using Out = flow::UserStates;
  using Config = NoFields;
  static constexpr Examples examples = Examples::every_prefix;

  template <class T, class S = Host>
  struct Params {
    Vector<T, S> query;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> states;
    Vector<T, S> weights;  // [tokens]
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    f(Spec<1>{"query", {shape.width}, Init::normal(0.02), Decay::no}, p.query...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>& p,
                              MatrixArg<T, S> states, Offsets offsets, Cache<T, S>& cache,
                              Ctx& ctx) {
    cache = {states, ctx.template take<T>(states.rows())};
    gemm_nt(ctx, states, detail::as_one_row(p.query), detail::as_column(cache.weights),
            Write::assign);
    scale(ctx, cache.weights, T(1) / std::sqrt(static_cast<T>(shape.width)));
    softmax_sequences(ctx, offsets, cache.weights);
    Matrix<T, S> y = ctx.template take<T>(detail::sequences(offsets), shape.width);
    sum_sequences(ctx, cache.weights, states, offsets, y);
    return y;
  }

  // forward: y = Σ a h,  a = softmax(z),  z = h · q / r.
  // da = h · dy;  dz = a (da - Σ a da) / r;  dq += Σ dz h;  dh = a dy + dz q
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>& p,
                               const Params<T, S>& grad, MatrixArg<T, S> dy, Offsets offsets,
                               const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dstates = ctx.template take<T>(cache.states.rows(), shape.width);
    const Vector<T, S> dz = ctx.template take<T>(cache.states.rows());
    sum_sequences_backward(ctx, cache.weights, cache.states, offsets, dy, dstates, dz);
    softmax_sequences_backward(ctx, offsets, cache.weights, dz, dz);
    scale(ctx, dz, T(1) / std::sqrt(static_cast<T>(shape.width)));
    gemm_tn(ctx, detail::as_column(dz), cache.states, detail::as_one_row(grad.query), Write::add);
    gemm_nn(ctx, detail::as_column(dz), detail::as_one_row(p.query), dstates, Write::add);
    return dstates;
  }
};

/// y_s = (1 / length) Σ_t σ(gate · h_t + b) h_t: a scalar gate for each token.
///
/// Parameters  gate.weight [width], gate.bias [1]
struct SequenceGate {
  using In = flow::TokenStates;
  using Out = flow::UserStates;
  using Config = NoFields;
  static constexpr Examples examples = Examples::every_prefix;

  template <class T, class S = Host>
  struct Params {
    Vector<T, S> weight, bias;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> states;
    Matrix<T, S> gates;            // [tokens, 1], before the sigmoid
    Vector<T, S> shares, weights;  // [tokens]: 1 / length, and σ / length
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    f(Spec<1>{"gate.weight", {shape.width}, Init::normal(0.02), Decay::no}, p.weight...);
    f(Spec<1>{"gate.bias", {1}, Init::zeros(), Decay::no}, p.bias...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>& p,
                              MatrixArg<T, S> states, Offsets offsets, Cache<T, S>& cache,
                              Ctx& ctx) {
    const Index tokens = states.rows();
    cache = {states, ctx.template take<T>(tokens, 1), ctx.template take<T>(tokens),
             ctx.template take<T>(tokens)};
    gemm_nt(ctx, states, detail::as_one_row(p.weight), cache.gates, Write::assign);
    add_to_rows(ctx, p.bias, cache.gates);
    activate(ctx, Sigmoid{}, cache.gates, detail::as_column(cache.weights));
    detail::even_weights(offsets, cache.shares);
    multiply(ctx, cache.shares, cache.weights, cache.weights);
    Matrix<T, S> y = ctx.template take<T>(detail::sequences(offsets), shape.width);
    sum_sequences(ctx, cache.weights, states, offsets, y);
    return y;
  }

  // forward: y = Σ w h,  w = σ(z) / n,  z = gate · h + b.
  // dz = σ'(z) (h · dy) / n;  dgate += Σ dz h;  db += Σ dz;  dh = w dy + dz gate
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>& p,
                               const Params<T, S>& grad, MatrixArg<T, S> dy, Offsets offsets,
                               const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dstates = ctx.template take<T>(cache.states.rows(), shape.width);
    const Vector<T, S> weights = ctx.template take<T>(cache.states.rows());
    sum_sequences_backward(ctx, cache.weights, cache.states, offsets, dy, dstates, weights);
    multiply(ctx, cache.shares, weights, weights);
    const Matrix<T, S> dz = detail::as_column(weights);
    activate_backward(ctx, Sigmoid{}, cache.gates, dz, dz);
    add_column_sums(ctx, dz, grad.bias);
    gemm_tn(ctx, dz, cache.states, detail::as_one_row(grad.weight), Write::add);
    gemm_nn(ctx, dz, detail::as_one_row(p.weight), dstates, Write::add);
    return dstates;
  }
};

/// y_s = Σ_t a_t V h_t,   a = softmax_t(Q h_last · K h_t / sqrt(width)): the last state of a
/// sequence asks all of them. One head, no biases.
///
/// Parameters  query.weight, key.weight, value.weight [width, width]
/// Cost        O(tokens · width²)
struct SequenceCrossAttention {
  using In = flow::TokenStates;
  using Out = flow::UserStates;
  using Config = NoFields;
  static constexpr Examples examples = Examples::every_prefix;

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> query, key, value;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> states;
    Matrix<T, S> last, asked;   // [sequences, width]: h_last, and Q h_last
    Matrix<T, S> keys, values;  // [tokens, width]
    Vector<T, S> weights;       // [tokens]
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    f(Spec<2>{"query.weight", {shape.width, shape.width}, Init::xavier()}, p.query...);
    f(Spec<2>{"key.weight", {shape.width, shape.width}, Init::xavier()}, p.key...);
    f(Spec<2>{"value.weight", {shape.width, shape.width}, Init::xavier()}, p.value...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>& p,
                              MatrixArg<T, S> states, Offsets offsets, Cache<T, S>& cache,
                              Ctx& ctx) {
    const Index tokens = states.rows(), count = detail::sequences(offsets);
    const auto take = [&](Index rows) { return ctx.template take<T>(rows, shape.width); };
    cache = {states,       take(count),  take(count),
             take(tokens), take(tokens), ctx.template take<T>(tokens)};
    for (Index s = 0; s < count; ++s) {
      copy(ctx, states.row(offsets[static_cast<std::size_t>(s) + 1] - 1), cache.last.row(s),
           Write::assign);
    }
    gemm_nt(ctx, cache.last, p.query, cache.asked, Write::assign);
    gemm_nt(ctx, states, p.key, cache.keys, Write::assign);
    gemm_nt(ctx, states, p.value, cache.values, Write::assign);
    dots_with_sequence(ctx, cache.asked, cache.keys, offsets, temperature<T>(shape), cache.weights);
    softmax_sequences(ctx, offsets, cache.weights);
    Matrix<T, S> y = take(count);
    sum_sequences(ctx, cache.weights, cache.values, offsets, y);
    return y;
  }

  // forward: y = Σ a v,  a = softmax(q · k / r).   dv = a dy;  da = v · dy;  dz = a (da - Σ a da);
  // dq = Σ dz k / r;  dk = dz q / r;  each goes back through its matrix
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>& p,
                               const Params<T, S>& grad, MatrixArg<T, S> dy, Offsets offsets,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const Index tokens = cache.states.rows(), count = dy.rows();
    const auto take = [&](Index rows) { return ctx.template take<T>(rows, shape.width); };
    const Matrix<T, S> dvalues = take(tokens), dkeys = take(tokens), dasked = take(count);
    const Vector<T, S> dz = ctx.template take<T>(tokens);
    sum_sequences_backward(ctx, cache.weights, cache.values, offsets, dy, dvalues, dz);
    softmax_sequences_backward(ctx, offsets, cache.weights, dz, dz);
    dots_with_sequence_backward(ctx, cache.asked, cache.keys, offsets, temperature<T>(shape), dz,
                                dasked, dkeys);
    gemm_tn(ctx, dasked, cache.last, grad.query, Write::add);
    gemm_tn(ctx, dkeys, cache.states, grad.key, Write::add);
    gemm_tn(ctx, dvalues, cache.states, grad.value, Write::add);
    Matrix<T, S> dstates = take(tokens);
    gemm_nn(ctx, dkeys, p.key, dstates, Write::assign);
    gemm_nn(ctx, dvalues, p.value, dstates, Write::add);
    const Matrix<T, S> dlast = take(count);
    gemm_nn(ctx, dasked, p.query, dlast, Write::assign);
    for (Index s = 0; s < count; ++s) {
      copy(ctx, dlast.row(s), dstates.row(offsets[static_cast<std::size_t>(s) + 1] - 1),
           Write::add);
    }
    return dstates;
  }

private:
  template <class T>
  static T temperature(const PoolerShape& shape) {
    return T(1) / std::sqrt(static_cast<T>(shape.width));
  }
};

}  // namespace simgr::SIMGR_ABI
