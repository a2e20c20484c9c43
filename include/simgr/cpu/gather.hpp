// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// y(i, ·) = table(rows[i], ·)
template <class T, class Id>
void gather_rows(Context&, MatrixArg<T> table, std::span<const Id> rows, Matrix<T> y) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    as_row(y.row(i)) = as_row(table.row(static_cast<Index>(rows[static_cast<std::size_t>(i)])));
  }
}

/// table(rows[i], ·) += factor y(i, ·), in the order of i: repeats add up in a fixed order.
template <class T, class Id>
void scatter_add_rows(Context&, MatrixArg<T> y, std::span<const Id> rows, T factor,
                      Matrix<T> table) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    as_row(table.row(static_cast<Index>(rows[static_cast<std::size_t>(i)]))) +=
        factor * as_row(y.row(i));
  }
}

/// y(i, ·) = Σ_l table(rows(i, l), ·).   rows [items, digits]: rows of the digit table
template <class T>
void sum_gathered_rows(Context&, MatrixArg<T> table, Matrix<const std::int32_t> rows, T factor,
                       Matrix<T> y) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    EigenRow<T> out = as_row(y.row(i));
    out = as_row(table.row(rows(i, 0)));
    for (Index l = 1; l < rows.cols(); ++l) { out += as_row(table.row(rows(i, l))); }
    if (factor != T(1)) {
      out *= factor;
    }
  }
}

/// table(rows(i, l), ·) += factor dy(i, ·) for every digit l.
template <class T>
void scatter_add_to_digits(Context&, MatrixArg<T> dy, Matrix<const std::int32_t> rows, T factor,
                           Matrix<T> table) noexcept {
  for (Index i = 0; i < dy.rows(); ++i) {
    for (Index l = 0; l < rows.cols(); ++l) {
      as_row(table.row(rows(i, l))) += factor * as_row(dy.row(i));
    }
  }
}

/// y(i) = a(i, ·) · b(i, ·), row by row.
template <class T>
void row_dots(Context&, MatrixArg<T> a, MatrixArg<T> b, Vector<T> y) noexcept {
  for (Index i = 0; i < a.rows(); ++i) { y[i] = (as_row(a.row(i)) * as_row(b.row(i))).sum(); }
}

/// y(i, ·) = weights(i) x(i, ·), assigned or added.
template <class T>
void scale_rows(Context&, VectorArg<T> weights, MatrixArg<T> x, Matrix<T> y, Write write) noexcept {
  for (Index i = 0; i < x.rows(); ++i) {
    if (write == Write::assign) {
      as_row(y.row(i)) = weights[i] * as_row(x.row(i));
    } else {
      as_row(y.row(i)) += weights[i] * as_row(x.row(i));
    }
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
