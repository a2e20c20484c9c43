// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// Packed sequences step by step: the first tokens of all, then the second ones of those that have
/// one, …; longer sequences first, so that who is left at a step is the beginning of who was there
/// before.
struct StepOrder {
  std::span<const std::int32_t> sequences;  // [sequences], longest first
  std::span<const std::int32_t> tokens;     // [tokens]: which token stands at a place
  std::span<const std::int32_t> places;     // [tokens]: at which place a token stands
  Offsets steps;                            // [longest + 1]: where each step begins

  template <class S, class Ctx>
  static StepOrder of(Offsets offsets, Ctx& ctx) {
    const Index count = static_cast<Index>(offsets.size()) - 1, longest = longest_sequence(offsets);
    const auto take = [&](Index size) { return ctx.template take<std::int32_t>(size); };
    const Vector<std::int32_t, S> order = take(count), tokens = take(offsets.back()),
                                  places = take(offsets.back());
    const Vector<Index, S> steps = ctx.template take<Index>(longest + 1);
    const auto length = [&](std::int32_t s) {
      return offsets[static_cast<std::size_t>(s) + 1] - offsets[static_cast<std::size_t>(s)];
    };
    for (Index s = 0; s < count; ++s) { order[s] = static_cast<std::int32_t>(s); }
    std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return length(a) != length(b) ? length(a) > length(b) : a < b;
    });
    Index place = 0, left = count;
    for (Index t = 0; t < longest; ++t) {
      steps[t] = place;
      while (length(order[left - 1]) <= t) { --left; }
      for (Index i = 0; i < left; ++i, ++place) {
        const Index token = offsets[static_cast<std::size_t>(order[i])] + t;
        tokens[place] = static_cast<std::int32_t>(token);
        places[token] = static_cast<std::int32_t>(place);
      }
    }
    steps[longest] = place;
    return {order.span(), tokens.span(), places.span(), Offsets(steps.span())};
  }

  Index longest() const noexcept { return static_cast<Index>(steps.size()) - 1; }
  Index first(Index step) const noexcept { return steps[static_cast<std::size_t>(step)]; }
  /// Sequences that have a token at a step.
  Index count(Index step) const noexcept { return first(step + 1) - first(step); }
};

/// Gated recurrent units over packed sequences.
///
///   r, z = σ(x W' + b + h U' + c);   n and the next h as the reset gate stands (core/op_tags.hpp)
///
/// A step is one product over all sequences that have one, and what they read is one product over all
/// tokens; nothing is padded.
///
/// @tparam Reset  ResetAfter (PyTorch, cuDNN), or ResetBefore (GRU4Rec's own code), which has no c
///
/// Shapes      x [tokens, in], first [sequences, hidden], the states before the first step, or empty:
///             zeros -> y [tokens, hidden], the state after every token
/// Parameters  input.weight [3 hidden, in], input.bias [3 hidden];  state.weight [3 hidden, hidden],
///             state.bias [3 hidden] after ResetAfter; gates stacked r, z, n
/// Cache       in the order of steps: x, gates, states before and after, what the state added
/// Cost        O(tokens · 3 hidden · (in + hidden)); as many dependent steps as the longest has tokens
/// Gradients   parameters accumulate, dx and dfirst are assigned
/// Source      Cho et al. 2014, equations 5 to 8 (ResetBefore); Hidasi et al. 2016, section 3
template <class Reset>
struct Gru {
  static constexpr bool after = std::is_same_v<Reset, ResetAfter>;

  struct Config {
    Index in = 0, hidden = 0;
    bool biased = true;
    Init init = Init::xavier();

    Linear::Config input() const { return {in, 3 * hidden, biased, init}; }
    Linear::Config state() const { return {hidden, 3 * hidden, biased && after, init}; }
  };
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> input, state;
  };
  template <class T, class S = Host>
  struct Cache {
    StepOrder order;
    Linear::Cache<T, S> input;
    Matrix<T, S> gates;           // [tokens, 3 hidden]
    Matrix<T, S> before, states;  // [tokens, hidden]
    Matrix<T, S> added;  // [tokens, 3 hidden]; or the states that were reset [tokens, hidden]
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Linear::for_each_parameter(c.input(), under("input", f), p.input...);
    Linear::for_each_parameter(c.state(), under("state", f), p.state...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              MatrixArg<T, S> first, Offsets offsets, Cache<T, S>& cache,
                              Ctx& ctx) {
    const StepOrder& order = cache.order = StepOrder::of<S>(offsets, ctx);
    const auto take = [&](Index cols) { return ctx.template take<T>(x.rows(), cols); };
    const Matrix<T, S> by_step = take(c.in);
    gather_rows(ctx, x, order.tokens, by_step);
    cache.gates = Linear::forward(c.input(), p.input, by_step, cache.input, ctx);
    cache.before = take(c.hidden);
    cache.states = take(c.hidden);
    cache.added = take(after ? 3 * c.hidden : c.hidden);
    const Matrix<T, S> y = take(c.hidden);
    for (Index t = 0; t < order.longest(); ++t) {
      const Index begin = order.first(t), count = order.count(t);
      const Matrix<T, S> h = cache.before.slice(begin, count);
      if (t > 0) {
        copy(ctx, cache.states.slice(order.first(t - 1), count), h, Write::assign);
      } else if (first.empty()) {
        fill(ctx, h, T(0));
      } else {
        gather_rows(ctx, first, order.sequences.first(static_cast<std::size_t>(count)), h);
      }
      step(c, p, h, cache.gates.slice(begin, count), cache.added.slice(begin, count),
           cache.states.slice(begin, count), ctx);
    }
    gather_rows(ctx, cache.states, order.places, y);
    return y;
  }

  // forward, ResetAfter:   s = h U' + c;  r, z = σ(g + s);  n = tanh(g + r s);  h' = n + z (h - n)
  // forward, ResetBefore:  r, z = σ(g + h U');  n = tanh(g + (r h) U');         h' = h + z (n - h)
  // with g = x W' + b.  Step by step from the last: dg, ds and dh; then dU += ds' h, dc += Σ ds,
  // and W, b, x as Linear.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Matrix<T, S> dfirst, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const StepOrder& order = cache.order;
    const Index tokens = dy.rows(), hidden = c.hidden,
                sequences = static_cast<Index>(order.sequences.size());
    const auto take = [&](Index rows, Index cols) { return ctx.template take<T>(rows, cols); };
    const Matrix<T, S> upstream = take(tokens, hidden), dgates = take(tokens, 3 * hidden),
                       dadded = take(tokens, after ? 3 * hidden : 2 * hidden),
                       dcandidate = take(after ? 0 : tokens, hidden),
                       carry = take(sequences, hidden);
    gather_rows(ctx, dy, order.tokens, upstream);
    fill(ctx, carry, T(0));
    for (Index t = order.longest(); t-- > 0;) {
      const Index begin = order.first(t), count = order.count(t);
      const auto at = [&](Matrix<T, S> all) { return all.slice(begin, count); };
      const Matrix<T, S> dh = carry.slice(0, count), gates = at(cache.gates), dg = at(dgates);
      copy(ctx, at(upstream), dh, Write::add);
      close_gates_backward(ctx, Reset{}, gates, at(cache.before), dh, dg);
      const Columns<const T, S> dn{dg, 2 * hidden};
      if constexpr (after) {
        reset_gate_backward(ctx, gates, Columns<const T, S>{at(cache.added), 2 * hidden}, dn, dg);
        gates_to_state(ctx, gates, dg, at(dadded));
        gemm_nn(ctx, at(dadded), p.state.weight, dh, Write::add);
      } else {
        const Matrix<T, S> weight = p.state.weight, dreset = at(upstream);  // which is used up
        copy_columns(ctx, dn, at(dcandidate));
        gemm_nn(ctx, at(dcandidate), weight.slice(2 * hidden, hidden), dreset, Write::assign);
        reset_gate_backward(ctx, gates, Columns<const T, S>{at(cache.before)},
                            Columns<const T, S>{dreset}, dg);
        reset_rows(ctx, gates, dreset, dh, Write::add);
        copy_columns(ctx, Columns<const T, S>{dg}, at(dadded));
        gemm_nn(ctx, at(dadded), weight.slice(0, 2 * hidden), dh, Write::add);
      }
    }
    if (!dfirst.empty()) {
      fill(ctx, dfirst, T(0));
      scatter_add_rows(ctx, carry, order.sequences, T(1), dfirst);
    }
    gemm_tn(ctx, dadded, cache.before, grad.state.weight.slice(0, dadded.cols()), Write::add);
    if constexpr (after) {
      if (c.biased) {
        add_column_sums(ctx, dadded, grad.state.bias);
      }
    } else {
      gemm_tn(ctx, dcandidate, cache.added, grad.state.weight.slice(2 * hidden, hidden),
              Write::add);
    }
    const Matrix<T, S> dx = take(tokens, c.in);
    gather_rows(ctx, Linear::backward(c.input(), p.input, grad.input, dgates, cache.input, ctx),
                order.places, dx);
    return dx;
  }

private:
  template <class T, class S, class Ctx>
  static void step(const Config& c, const Params<T, S>& p, Matrix<T, S> h, Matrix<T, S> gates,
                   Matrix<T, S> added, Matrix<T, S> next, Ctx& ctx) {
    if constexpr (after) {
      if (c.biased) {
        affine_rows(ctx, h, p.state.weight, p.state.bias, added);
      } else {
        gemm_nt(ctx, h, p.state.weight, added, Write::assign);
      }
      open_gates(ctx, added, gates);
      close_gates(ctx, Reset{}, Columns<const T, S>{added, 2 * c.hidden}, h, gates, next);
    } else {
      Arena::Scope scope(ctx.arena);
      const Matrix<T, S> weight = p.state.weight,
                         of_state = ctx.template take<T>(h.rows(), 2 * c.hidden),
                         of_reset = ctx.template take<T>(h.rows(), c.hidden);
      gemm_nt(ctx, h, weight.slice(0, 2 * c.hidden), of_state, Write::assign);
      open_gates(ctx, of_state, gates);
      reset_rows(ctx, gates, h, added, Write::assign);
      gemm_nt(ctx, added, weight.slice(2 * c.hidden, c.hidden), of_reset, Write::assign);
      close_gates(ctx, Reset{}, Columns<const T, S>{of_reset}, h, gates, next);
    }
  }
};

}  // namespace simgr::SIMGR_ABI
