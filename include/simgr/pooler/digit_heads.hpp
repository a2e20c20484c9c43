// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/op_tags.hpp>
#include <simgr/pooler/positions.hpp>

namespace simgr::SIMGR_ABI {

/// A state for each digit of the next item, all at once: every digit has a head that reads the same
/// user state, so given that state the digits are independent.
///
///   g_j(h) = h + silu(h W_j' + b_j)
///
/// @tparam Positions  EveryPosition or LastPosition: which states are read
///
/// Shapes      states [tokens, width] -> y [rows · digits, width], the digits of a row together
/// Parameters  heads.weight [digits · width, width], zero at first;  heads.bias [digits · width]
/// Cache       positions read [rows, width] and what the heads give before silu
/// Cost        O(rows · digits · width²): one product for all heads
/// Gradients   parameters accumulate, dstates is assigned
/// Source      RPG (arXiv 2506.05781)
template <class Positions = EveryPosition>
struct DigitHeads {
  using In = flow::TokenStates;
  using Out = flow::DigitStates;
  using Config = NoFields;
  static constexpr Examples examples = Positions::examples;
  static constexpr bool serves_last_position = true;

  template <class T, class S = Host>
  struct Params {
    typename Positions::template Params<T, S> positions;
    Matrix<T, S> weight;
    Vector<T, S> bias;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Positions::template Cache<T, S> positions;
    MatrixArg<T, S> read;  // [rows, width]
    Matrix<T, S> before;   // [rows, digits · width]
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    const Index all = shape.digits * shape.width;
    f(Spec<2>{"heads.weight", {all, shape.width}, Init::zeros()}, p.weight...);
    f(Spec<1>{"heads.bias",
              {all},
              Init::uniform(1 / std::sqrt(static_cast<double>(shape.width))),
              Decay::no},
      p.bias...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>& p,
                              MatrixArg<T, S> states, Offsets offsets, Cache<T, S>& cache,
                              Ctx& ctx) {
    return of_positions(
        shape, p, Positions::forward(shape, p.positions, states, offsets, cache.positions, ctx),
        cache, ctx);
  }
  /// The heads alone, of states that have been read.   read [rows, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> of_positions(const PoolerShape& shape, const Params<T, S>& p,
                                   Matrix<T, S> read, Cache<T, S>& cache, Ctx& ctx) {
    const Index rows = read.rows(), digits = shape.digits, width = shape.width;
    cache.read = read;
    cache.before = ctx.template take<T>(rows, digits * width);
    gemm_nt(ctx, read, p.weight, cache.before, Write::assign);
    add_to_rows(ctx, p.bias, cache.before);
    const Matrix<T, S> y = ctx.template take<T>(rows, digits * width);
    activate(ctx, Silu{}, cache.before, y);
    const Matrix<T, S> by_digit(y.data(), {rows * digits, width});
    for (Index r = 0; r < rows; ++r) {
      for (Index j = 0; j < digits; ++j) {
        copy(ctx, read.row(r), by_digit.row(r * digits + j), Write::add);
      }
    }
    return by_digit;
  }

  // forward: y_j = h + silu(z_j),  z_j = h W_j' + b_j.
  // dz_j = silu'(z_j) dy_j;  dW_j += dz_j' h;  db_j += Σ dz_j;  dh = Σ_j dy_j + dz_j W_j
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>& p,
                               const Params<T, S>& grad, MatrixArg<T, S> dy, Offsets offsets,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const Index rows = cache.read.rows(), digits = shape.digits, width = shape.width;
    const Matrix<T, S> dz = ctx.template take<T>(rows, digits * width),
                       dread = ctx.template take<T>(rows, width);
    activate_backward(ctx, Silu{}, cache.before, MatrixArg<T, S>(dy.data(), dz.shape()), dz);
    gemm_tn(ctx, dz, cache.read, grad.weight, Write::add);
    add_column_sums(ctx, dz, grad.bias);
    gemm_nn(ctx, dz, p.weight, dread, Write::assign);
    for (Index r = 0; r < rows; ++r) {
      for (Index j = 0; j < digits; ++j) {
        copy(ctx, dy.row(r * digits + j), dread.row(r), Write::add);
      }
    }
    return Positions::backward(shape, p.positions, grad.positions, dread, offsets, cache.positions,
                               ctx);
  }
};

}  // namespace simgr::SIMGR_ABI
