// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

// Packed sequences as wholes: a sum over each one's rows, a softmax over each one's scores.
// Throughout, s counts sequences and t tokens; offsets [sequences + 1] says where each begins.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// f(sequence, first row, rows) for every sequence.
template <class F>
void for_each_sequence(Offsets offsets, F&& f) {
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    f(static_cast<Index>(s), offsets[s], offsets[s + 1] - offsets[s]);
  }
}

}  // namespace detail

/// y(s, ·) = Σ_t weights(t) x(t, ·) over the rows t of sequence s.
///
/// Shapes  weights [tokens];  x [tokens, width];  y [sequences, width]
template <class T>
void sum_sequences(Context&, VectorArg<T> weights, MatrixArg<T> x, Offsets offsets,
                   Matrix<T> y) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    EigenRow<T> out = as_row(y.row(s));
    out.setZero();
    for (Index t = first; t < first + rows; ++t) { out += weights[t] * as_row(x.row(t)); }
  });
}

/// dx(t, ·) = weights(t) dy(s, ·);   dweights(t) = x(t, ·) · dy(s, ·);   both assigned
template <class T>
void sum_sequences_backward(Context&, VectorArg<T> weights, MatrixArg<T> x, Offsets offsets,
                            MatrixArg<T> dy, Matrix<T> dx, Vector<T> dweights) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    for (Index t = first; t < first + rows; ++t) {
      as_row(dx.row(t)) = weights[t] * as_row(dy.row(s));
      dweights[t] = (as_row(x.row(t)) * as_row(dy.row(s))).sum();
    }
  });
}

/// y(s, ·) = the mean of the rows of sequence s, zero where it has none.
///
/// Shapes  x [tokens, width];  y [sequences, width]
template <class T>
void mean_sequences(Context&, MatrixArg<T> x, Offsets offsets, Matrix<T> y) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    EigenRow<T> out = as_row(y.row(s));
    out.setZero();
    for (Index t = first; t < first + rows; ++t) { out += as_row(x.row(t)); }
    out *= T(1) / static_cast<T>(std::max<Index>(rows, 1));
  });
}
/// dx(t, ·) = dy(s, ·) / rows of s
template <class T>
void mean_sequences_backward(Context&, MatrixArg<T> dy, Offsets offsets, Matrix<T> dx) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    for (Index t = first; t < first + rows; ++t) {
      as_row(dx.row(t)) = as_row(dy.row(s)) * (T(1) / static_cast<T>(rows));
    }
  });
}

/// y(s, ·) += Σ_t x(t, ·) over the rows t of sequence s.
template <class T>
void add_sequence_sums(Context&, MatrixArg<T> x, Offsets offsets, Matrix<T> y) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    for (Index t = first; t < first + rows; ++t) { as_row(y.row(s)) += as_row(x.row(t)); }
  });
}
/// y(t, ·) += x(s, ·) for the rows t of sequence s.   x [sequences, width], y [tokens, width]
template <class T>
void add_to_sequences(Context&, MatrixArg<T> x, Offsets offsets, Matrix<T> y) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    for (Index t = first; t < first + rows; ++t) { as_row(y.row(t)) += as_row(x.row(s)); }
  });
}

/// Weights of the rows of each sequence that sum to one, by gates and not by a softmax:
///
///   gates(t) = σ(scores(t) + of_places(s, place of t));   weights = gates / Σ_s gates
///
/// The last row of a sequence stands at the last place.
///
/// Shapes  scores, gates, weights [tokens];  of_places [sequences, places], no sequence longer
template <class T>
void gate_sequences(Context&, VectorArg<T> scores, MatrixArg<T> of_places, Offsets offsets,
                    Vector<T> gates, Vector<T> weights) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    SIMGR_ASSERT(rows <= of_places.cols(), "gate_sequences: places");
    EigenRow<T> own(gates.data() + first, rows);
    const EigenRow<const T> of_place(of_places.row(s).data() + of_places.cols() - rows, rows);
    own = (T(1) + (-EigenRow<const T>(scores.data() + first, rows) - of_place).exp()).inverse();
    EigenRow<T>(weights.data() + first, rows) = own * (T(1) / own.sum());
  });
}
/// dscores and dof_places, both assigned; dscores may be dweights.
template <class T>
void gate_sequences_backward(Context&, VectorArg<T> gates, VectorArg<T> weights, Offsets offsets,
                             VectorArg<T> dweights, Vector<T> dscores,
                             Matrix<T> dof_places) noexcept {
  as_row(dof_places).setZero();
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    if (rows > 0) {
      const EigenRow<const T> g(gates.data() + first, rows), w(weights.data() + first, rows),
          d(dweights.data() + first, rows);
      EigenRow<T> out(dscores.data() + first, rows);
      const T inner = (w * d).sum(), total = g.sum();
      out = (d - inner) * (T(1) / total) * g * (T(1) - g);
      EigenRow<T>(dof_places.row(s).data() + dof_places.cols() - rows, rows) = out;
    }
  });
}

/// y(t) = e^(y(t) - max) / Σ e^(y - max) within each sequence, in place.   y [tokens]
template <class T>
void softmax_sequences(Context&, Offsets offsets, Vector<T> y) noexcept {
  detail::for_each_sequence(offsets, [&](Index, Index first, Index rows) {
    if (rows > 0) {
      EigenRow<T> row(y.data() + first, rows);
      const T largest = row.maxCoeff();
      row = (row - largest).exp();
      row *= T(1) / row.sum();
    }
  });
}

/// dx = y (dy - Σ y dy) within each sequence, assigned; dx may be dy. y is the softmax.
template <class T>
void softmax_sequences_backward(Context&, Offsets offsets, VectorArg<T> y, VectorArg<T> dy,
                                Vector<T> dx) noexcept {
  detail::for_each_sequence(offsets, [&](Index, Index first, Index rows) {
    const EigenRow<const T> out(y.data() + first, rows), upstream(dy.data() + first, rows);
    const T inner = (out * upstream).sum();
    EigenRow<T>(dx.data() + first, rows) = out * (upstream - inner);
  });
}

/// y(t) = factor a(s, ·) · x(t, ·), one row of `a` for each sequence.
///
/// Shapes  a [sequences, width];  x [tokens, width];  y [tokens]
template <class T>
void dots_with_sequence(Context&, MatrixArg<T> a, MatrixArg<T> x, Offsets offsets, T factor,
                        Vector<T> y) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    for (Index t = first; t < first + rows; ++t) {
      y[t] = factor * (as_row(a.row(s)) * as_row(x.row(t))).sum();
    }
  });
}

/// da(s, ·) = factor Σ_t dy(t) x(t, ·);   dx(t, ·) = factor dy(t) a(s, ·);   both assigned
template <class T>
void dots_with_sequence_backward(Context&, MatrixArg<T> a, MatrixArg<T> x, Offsets offsets,
                                 T factor, VectorArg<T> dy, Matrix<T> da, Matrix<T> dx) noexcept {
  detail::for_each_sequence(offsets, [&](Index s, Index first, Index rows) {
    EigenRow<T> out = as_row(da.row(s));
    out.setZero();
    for (Index t = first; t < first + rows; ++t) {
      const T slope = factor * dy[t];
      out += slope * as_row(x.row(t));
      as_row(dx.row(t)) = slope * as_row(a.row(s));
    }
  });
}

}  // namespace simgr::SIMGR_ABI::cpu
