// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include <simgr/core/op_tags.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

// Attention whose weights are no distribution: each pair of a query and a key before it has a weight of
// its own, so that how often something happened is not divided away.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// Some columns of some rows, in place.
template <class T>
using EigenPart =
    Eigen::Map<std::conditional_t<std::is_const_v<T>, const EigenMatrix<std::remove_const_t<T>>,
                                  EigenMatrix<std::remove_const_t<T>>>,
               0, Eigen::OuterStride<>>;
template <class T>
EigenPart<T> part_of(Columns<T> from, Index first, Index rows, Index column, Index width) noexcept {
  return {from.matrix.data() + first * from.matrix.cols() + from.begin + column, rows, width,
          Eigen::OuterStride<>(from.matrix.cols())};
}

}  // namespace detail

/// biases(i, j) = of_place[j - i + places - 1] + of_time[buckets(i, j)] for j <= i of each sequence, 0
/// elsewhere. An empty list adds nothing.
///
/// Shapes  of_place [2 places - 1];  of_time [buckets there are];  buckets, biases [Σ length²]
template <class T>
void pair_biases(Context&, Offsets offsets, VectorArg<T> of_place, VectorArg<T> of_time,
                 std::span<const std::int32_t> buckets, Vector<T> biases) noexcept {
  const Index middle = (of_place.size() - 1) / 2;
  std::fill(biases.begin(), biases.end(), T(0));
  Index at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index rows = offsets[s + 1] - offsets[s];
    SIMGR_ASSERT(of_place.empty() || rows <= middle + 1, "pair_biases: a sequence of more places");
    for (Index i = 0; i < rows; ++i, at += rows) {
      for (Index j = 0; j <= i; ++j) {
        biases[at + j] =
            (of_place.empty() ? T(0) : of_place[middle + j - i]) +
            (of_time.empty() ? T(0) : of_time[buckets[static_cast<std::size_t>(at + j)]]);
      }
    }
  }
}
/// Both lists accumulate.
template <class T>
void pair_biases_backward(Context&, Offsets offsets, VectorArg<T> dbiases,
                          std::span<const std::int32_t> buckets, Vector<T> dof_place,
                          Vector<T> dof_time) noexcept {
  const Index middle = (dof_place.size() - 1) / 2;
  Index at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index rows = offsets[s + 1] - offsets[s];
    for (Index i = 0; i < rows; ++i, at += rows) {
      for (Index j = 0; j <= i; ++j) {
        if (!dof_place.empty()) {
          dof_place[middle + j - i] += dbiases[at + j];
        }
        if (!dof_time.empty()) {
          dof_time[buckets[static_cast<std::size_t>(at + j)]] += dbiases[at + j];
        }
      }
    }
  }
}

/// y_i = share Σ_{j <= i} silu(q_i · k_j + bias(i, j)) v_j, head by head, within each sequence.
///
/// Shapes  q, k: heads · asked columns;  v: heads · given columns;  y [tokens, heads · given]
///         biases [Σ length²], for all heads;  scores [heads · Σ length²] keeps what silu is of
/// Cost    heads · (asked + given) Σ length² multiplications, and as many exponentials as scores
template <class T>
void pointwise_attention(Context& ctx, Offsets offsets, Index heads, T share, Columns<const T> q,
                         Columns<const T> k, Columns<const T> v, VectorArg<T> biases,
                         Vector<T> scores, Matrix<T> y) noexcept {
  const Index given = y.cols() / heads, asked = (k.begin - q.begin) / heads;
  Index pairs = 0, at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index first = offsets[s], rows = offsets[s + 1] - first;
    Arena::Scope scope(ctx.arena);
    EigenMap<T> weights = as_eigen(ctx.take<T>(rows, rows));
    const EigenMap<const T> bias(biases.data() + pairs, rows, rows);
    for (Index h = 0; h < heads; ++h, at += rows * rows) {
      EigenMap<T> score(scores.data() + at, rows, rows);
      score = bias;
      score.noalias() += detail::part_of(q, first, rows, h * asked, asked) *
                         detail::part_of(k, first, rows, h * asked, asked).transpose();
      weights.array() = share * score.array() / (T(1) + (-score.array()).exp());
      for (Index i = 0; i + 1 < rows; ++i) { weights.row(i).tail(rows - 1 - i).setZero(); }
      detail::part_of(Columns<T>{y, 0}, first, rows, h * given, given).noalias() =
          weights * detail::part_of(v, first, rows, h * given, given);
    }
    pairs += rows * rows;
  }
}

/// dq, dk and dv are assigned in their columns, dbiases accumulates.
// forward: y = W v, W = share silu(s), s = q k' + b, below the diagonal.
// dv = W' dy;  ds = (dy v') share silu'(s);  dq = ds k;  dk = ds' q;  db += ds
template <class T>
void pointwise_attention_backward(Context& ctx, Offsets offsets, Index heads, T share,
                                  Columns<const T> q, Columns<const T> k, Columns<const T> v,
                                  VectorArg<T> scores, MatrixArg<T> dy, Columns<T> dq,
                                  Columns<T> dk, Columns<T> dv, Vector<T> dbiases) noexcept {
  const Index given = dy.cols() / heads, asked = (k.begin - q.begin) / heads;
  Index pairs = 0, at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index first = offsets[s], rows = offsets[s + 1] - first;
    Arena::Scope scope(ctx.arena);
    EigenMap<T> weights = as_eigen(ctx.take<T>(rows, rows)),
                slope = as_eigen(ctx.take<T>(rows, rows)),
                dscore = as_eigen(ctx.take<T>(rows, rows));
    EigenMap<T> dbias(dbiases.data() + pairs, rows, rows);
    for (Index h = 0; h < heads; ++h, at += rows * rows) {
      const auto of = [&](auto columns, Index width) {
        return detail::part_of(columns, first, rows, h * width, width);
      };
      const EigenMap<const T> score(scores.data() + at, rows, rows);
      slope.array() = T(1) / (T(1) + (-score.array()).exp());  // σ
      weights.array() = share * score.array() * slope.array();
      slope.array() = share * slope.array() + weights.array() * (T(1) - slope.array());
      for (Index i = 0; i + 1 < rows; ++i) {
        weights.row(i).tail(rows - 1 - i).setZero();
        slope.row(i).tail(rows - 1 - i).setZero();
      }
      const detail::EigenPart<const T> above = of(Columns<const T>{dy, 0}, given);
      of(dv, given).noalias() = weights.transpose() * above;
      dscore.noalias() = above * of(v, given).transpose();
      dscore.array() *= slope.array();
      of(dq, asked).noalias() = dscore * of(k, asked);
      of(dk, asked).noalias() = dscore.transpose() * of(q, asked);
      dbias += dscore;
    }
    pairs += rows * rows;
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
