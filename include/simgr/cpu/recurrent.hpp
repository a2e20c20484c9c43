// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <simgr/core/op_tags.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

// One step of gated recurrent units in many sequences. Gates r, z, n stand side by side in a row
// [3 hidden]; what the state adds to them comes from a product that the layer makes.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// Columns part · hidden … of a row, `hidden` of them.
template <class T>
EigenRow<T> gate_of(Matrix<T> rows, Index row, Index part, Index hidden) noexcept {
  return {rows.data() + row * rows.cols() + part * hidden, hidden};
}

}  // namespace detail

/// r and z:  gates(·, 0 … 2 hidden) = σ(gates + of_state) there.
///
/// Shapes  gates [rows, 3 hidden];  of_state [rows, at least 2 hidden]
template <class T>
void open_gates(Context&, MatrixArg<T> of_state, Matrix<T> gates) noexcept {
  const Index hidden = gates.cols() / 3;
  for (Index i = 0; i < gates.rows(); ++i) {
    EigenRow<T> both(gates.row(i).data(), 2 * hidden);
    both = (T(1) + (-both - EigenRow<const T>(of_state.row(i).data(), 2 * hidden)).exp()).inverse();
  }
}

/// y = r * x, or y += r * x.   gates [rows, 3 hidden];  x, y [rows, hidden]
template <class T>
void reset_rows(Context&, MatrixArg<T> gates, MatrixArg<T> x, Matrix<T> y, Write write) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    const EigenRow<const T> r = detail::gate_of<const T>(gates, i, 0, y.cols());
    if (write == Write::add) {
      as_row(y.row(i)) += r * as_row(x.row(i));
    } else {
      as_row(y.row(i)) = r * as_row(x.row(i));
    }
  }
}

/// n = tanh(gates + r * of_state), or without r where the state was reset before the product; then
/// the next state. n takes the last third of the gates.
///
/// Shapes  gates [rows, 3 hidden];  of_state, h, next [rows, hidden]
template <class T, class Reset>
void close_gates(Context&, Reset, Columns<const T> of_state, MatrixArg<T> h, Matrix<T> gates,
                 Matrix<T> next) noexcept {
  const Index hidden = next.cols();
  for (Index i = 0; i < next.rows(); ++i) {
    const EigenRow<T> r = detail::gate_of(gates, i, 0, hidden),
                      z = detail::gate_of(gates, i, 1, hidden);
    EigenRow<T> n = detail::gate_of(gates, i, 2, hidden);
    const EigenRow<const T> more(of_state.matrix.row(i).data() + of_state.begin, hidden);
    const EigenRow<const T> before = as_row(h.row(i));
    if constexpr (std::is_same_v<Reset, ResetAfter>) {
      n = (n + r * more).tanh();
      as_row(next.row(i)) = n + z * (before - n);
    } else {
      n = (n + more).tanh();
      as_row(next.row(i)) = before + z * (n - before);
    }
  }
}

/// From the gradient of the next state, in place, to its direct part in that of h; and the gradients
/// of what n and z read to their places in dgates. The reset gate's follows by reset_backward.
///
/// Shapes  gates, dgates [rows, 3 hidden];  h, dh [rows, hidden]
template <class T, class Reset>
void close_gates_backward(Context&, Reset, MatrixArg<T> gates, MatrixArg<T> h, Matrix<T> dh,
                          Matrix<T> dgates) noexcept {
  const Index hidden = dh.cols();
  for (Index i = 0; i < dh.rows(); ++i) {
    const EigenRow<const T> z = detail::gate_of<const T>(gates, i, 1, hidden),
                            n = detail::gate_of<const T>(gates, i, 2, hidden),
                            before = as_row(h.row(i));
    EigenRow<T> d = as_row(dh.row(i)), dz = detail::gate_of(dgates, i, 1, hidden),
                dn = detail::gate_of(dgates, i, 2, hidden);
    if constexpr (std::is_same_v<Reset, ResetAfter>) {
      dz = d * (before - n) * z * (T(1) - z);
      dn = d * (T(1) - z) * (T(1) - n * n);
      d *= z;
    } else {
      dz = d * (n - before) * z * (T(1) - z);
      dn = d * z * (T(1) - n * n);
      d *= T(1) - z;
    }
  }
}

/// The gradient of what the reset gate read, r (1 - r) x * d, where r * x has the gradient d; to its
/// place in dgates.
///
/// Shapes  gates, dgates [rows, 3 hidden];  x, d [rows, hidden], some columns of them
template <class T>
void reset_gate_backward(Context&, MatrixArg<T> gates, Columns<const T> x, Columns<const T> d,
                         Matrix<T> dgates) noexcept {
  const Index hidden = gates.cols() / 3;
  for (Index i = 0; i < gates.rows(); ++i) {
    const EigenRow<const T> r = detail::gate_of<const T>(gates, i, 0, hidden);
    detail::gate_of(dgates, i, 0, hidden) =
        EigenRow<const T>(x.matrix.row(i).data() + x.begin, hidden) *
        EigenRow<const T>(d.matrix.row(i).data() + d.begin, hidden) * r * (T(1) - r);
  }
}

/// From the gradients of what the gates read to that of what the state adds, where r stands after the
/// product: the last third times r.   all [rows, 3 hidden]
template <class T>
void gates_to_state(Context&, MatrixArg<T> gates, MatrixArg<T> dgates, Matrix<T> dstate) noexcept {
  const Index hidden = gates.cols() / 3;
  for (Index i = 0; i < gates.rows(); ++i) {
    as_row(dstate.row(i)) = as_row(dgates.row(i));
    detail::gate_of(dstate, i, 2, hidden) *= detail::gate_of<const T>(gates, i, 0, hidden);
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
