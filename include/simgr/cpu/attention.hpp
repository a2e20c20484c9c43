// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <limits>

#include <simgr/core/op_tags.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/elementwise.hpp>

// Attention over packed sequences: one [t, t] block of probabilities for each sequence and head.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

template <class T>
using Strided =
    Eigen::Map<std::conditional_t<std::is_const_v<T>, const EigenMatrix<std::remove_const_t<T>>,
                                  EigenMatrix<T>>,
               0, Eigen::OuterStride<>>;

/// Head `head` of rows [row, row + rows).
template <class T>
Strided<T> panel(Columns<T> x, Index row, Index rows, Index head, Index width) noexcept {
  return {x.matrix.data() + row * x.matrix.cols() + x.begin + head * width, rows, width,
          Eigen::OuterStride<>(x.matrix.cols())};
}

}  // namespace detail

/// y = dropout(P) v,   P = softmax(mask(q k' / sqrt(head width))), by sequence and head
///
/// Shapes  q, y [tokens, heads · width];  k, v [tokens, kv_heads · width];  heads stand in
///         consecutive column blocks
///         probabilities [Σ heads · t²], keeps P before dropout
/// Cost    O(Σ t² · heads · width);  where dropout acts, one more copy of the probabilities
template <class Mask, class T>
void attention(Context& ctx, Mask, Columns<const T> q, Columns<const T> k, Columns<const T> v,
               Offsets offsets, HeadShape shape, float rate, std::uint32_t stream,
               Vector<T> probabilities, Matrix<T> y) noexcept {
  const T temperature = T(1) / std::sqrt(static_cast<T>(shape.width));
  Index at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index first = offsets[s], length = offsets[s + 1] - first;
    for (Index h = 0; h < shape.heads; ++h) {
      Matrix<T> p(probabilities.data() + at, {length, length});
      at += length * length;
      EigenMap<T> scores = as_eigen(p);
      scores.noalias() = detail::panel(q, first, length, h, shape.width) *
                         detail::panel(k, first, length, shape.kv(h), shape.width).transpose();
      for (Index i = 0; i < length; ++i) {
        const Index visible = std::is_same_v<Mask, Causal> ? i + 1 : length;
        EigenRow<T> row(p.row(i).data(), visible);
        const T largest = row.maxCoeff();
        row = ((row - largest) * temperature).exp();
        row *= T(1) / row.sum();
        std::fill(p.row(i).data() + visible, p.row(i).data() + length, T(0));
      }
    }
  }
  // Dropout acts on a copy, because the backward pass needs P itself.
  Arena::Scope scope(ctx.arena);
  Vector<T> used = probabilities;
  if (ctx.training && rate > 0) {
    used = ctx.take<T>(probabilities.size());
    std::copy(probabilities.begin(), probabilities.end(), used.begin());
    dropout(ctx, used, rate, stream);
  }
  at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index first = offsets[s], length = offsets[s + 1] - first;
    for (Index h = 0; h < shape.heads; ++h) {
      detail::panel(Columns<T>{y}, first, length, h, shape.width).noalias() =
          as_eigen(Matrix<T>(used.data() + at, {length, length})) *
          detail::panel(v, first, length, shape.kv(h), shape.width);
      at += length * length;
    }
  }
}

/// What the last position of each sequence gets from attention(), without the others: serving needs
/// no more. No dropout.
///
/// Shapes  q, y [sequences, heads · width];  k, v [tokens, kv_heads · width];  no sequence is empty
template <class T>
void attention_of_last(Context& ctx, MatrixArg<T> q, Columns<const T> k, Columns<const T> v,
                       Offsets offsets, HeadShape shape, Matrix<T> y) noexcept {
  const T temperature = T(1) / std::sqrt(static_cast<T>(shape.width));
  for (Index s = 0; s < y.rows(); ++s) {
    const Index first = offsets[static_cast<std::size_t>(s)];
    const Index length = offsets[static_cast<std::size_t>(s) + 1] - first;
    Arena::Scope scope(ctx.arena);
    const Matrix<T> p = ctx.take<T>(1, length);
    for (Index h = 0; h < shape.heads; ++h) {
      as_eigen(p).noalias() =
          detail::panel(Columns<const T>{q}, s, 1, h, shape.width)
              .lazyProduct(detail::panel(k, first, length, shape.kv(h), shape.width).transpose());
      EigenRow<T> row = as_row(p.row(0));
      const T largest = row.maxCoeff();
      row = ((row - largest) * temperature).exp();
      row *= T(1) / row.sum();
      detail::panel(Columns<T>{y}, s, 1, h, shape.width).noalias() =
          as_eigen(p).lazyProduct(detail::panel(v, first, length, shape.kv(h), shape.width));
    }
  }
}

/// dq, dk, dv from dy, all assigned. `probabilities` is what attention() kept; rate and stream are
/// those of the forward call.
///
/// Cost  twice that of attention(), and a second block of probabilities
// forward: y = D(P) v, P = softmax(S), S = q k' / r, where D is the dropout mask, scale included.
//
//   dv = D(P)' dy;   dP = D(dy v');   dS = P (dP - sum(P dP));   dq = dS k / r;   dk = dS' q / r
//
// A key head that several query heads share sums their gradients.
template <class T>
void attention_backward(Context& ctx, Columns<const T> q, Columns<const T> k, Columns<const T> v,
                        Offsets offsets, HeadShape shape, float rate, std::uint32_t stream,
                        VectorArg<T> probabilities, MatrixArg<T> dy, Columns<T> dq, Columns<T> dk,
                        Columns<T> dv) noexcept {
  const T temperature = T(1) / std::sqrt(static_cast<T>(shape.width));
  const bool dropping = ctx.training && rate > 0;
  const auto first_of_group = [&](Index h) { return h == 0 || shape.kv(h) != shape.kv(h - 1); };
  Arena::Scope scope(ctx.arena);
  Vector<T> used = ctx.take<T>(dropping ? probabilities.size() : 0);
  Vector<T> gradient = ctx.take<T>(probabilities.size());
  if (dropping) {
    std::copy(probabilities.begin(), probabilities.end(), used.begin());
    dropout(ctx, used, rate, stream);
  }
  Index at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index first = offsets[s], length = offsets[s + 1] - first;
    for (Index h = 0; h < shape.heads; ++h) {
      const Matrix<const T> kept((dropping ? used.data() : probabilities.data()) + at,
                                 {length, length});
      const detail::Strided<const T> out =
          detail::panel(Columns<const T>{dy}, first, length, h, shape.width);
      detail::Strided<T> dvalue = detail::panel(dv, first, length, shape.kv(h), shape.width);
      if (first_of_group(h)) {
        dvalue.setZero();
      }
      dvalue.noalias() += as_eigen(kept).transpose() * out;
      as_eigen(Matrix<T>(gradient.data() + at, {length, length})).noalias() =
          out * detail::panel(v, first, length, shape.kv(h), shape.width).transpose();
      at += length * length;
    }
  }
  if (dropping) {
    dropout(ctx, gradient, rate, stream);
  }
  at = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index first = offsets[s], length = offsets[s + 1] - first;
    for (Index h = 0; h < shape.heads; ++h) {
      Matrix<T> ds(gradient.data() + at, {length, length});
      Matrix<const T> p(probabilities.data() + at, {length, length});
      for (Index i = 0; i < length; ++i) {
        const T inner = (as_row(p.row(i)) * as_row(ds.row(i))).sum();
        as_row(ds.row(i)) = as_row(p.row(i)) * (as_row(ds.row(i)) - inner) * temperature;
      }
      detail::panel(dq, first, length, h, shape.width).noalias() =
          as_eigen(ds) * detail::panel(k, first, length, shape.kv(h), shape.width);
      detail::Strided<T> dkey = detail::panel(dk, first, length, shape.kv(h), shape.width);
      if (first_of_group(h)) {
        dkey.setZero();
      }
      dkey.noalias() += as_eigen(ds).transpose() * detail::panel(q, first, length, h, shape.width);
      at += length * length;
    }
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
