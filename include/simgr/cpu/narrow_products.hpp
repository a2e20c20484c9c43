// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>

#include <simgr/core/float_formats.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/packet_products.hpp>
#include <simgr/cpu/row_products.hpp>

// Ops on a matrix that is kept as BFloat16. Kernels that copy a panel of it into the cache widen it as
// they copy, so that their numbers are those of the widened matrix, to the bit; others get it widened
// some rows at a time.

namespace simgr::SIMGR_ABI::cpu {

/// y = x, or y += x as `write` says.
template <class T>
void copy(Context&, MatrixArg<BFloat16> x, Matrix<T> y, Write write) noexcept {
  SIMGR_ASSERT(x.size() == y.size(), "copy: shapes");
  for (Index i = 0; i < x.size(); ++i) {
    const T value = widened(x.data()[i]);
    y.data()[i] = write == Write::assign ? value : y.data()[i] + value;
  }
}

/// y(i, ·) = table(rows[i], ·).   table [table rows, width], rows [count], y [count, width]
template <class T, class Id>
void gather_rows(Context& ctx, MatrixArg<BFloat16> table, std::span<const Id> rows,
                 Matrix<T> y) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    const auto row = static_cast<Index>(rows[static_cast<std::size_t>(i)]);
    copy(ctx, table.slice(row, 1), y.slice(i, 1), Write::assign);
  }
}

namespace detail {

/// f(first row, widened rows) for all rows of w, as many at a time as the first cache holds.
template <class T, class F>
void in_widened_rows(Context& ctx, MatrixArg<BFloat16> w, F&& f) {
  constexpr Index room = 8192;  // numbers
  const Index together = std::clamp(room / std::max<Index>(w.cols(), 1), Index{1}, w.rows());
  Arena::Scope scope(ctx.arena);
  const Matrix<T> wide = ctx.take<T>(together, w.cols());
  for (Index row = 0; row < w.rows(); row += together) {
    const Matrix<T> here = wide.slice(0, std::min(together, w.rows() - row));
    copy(ctx, w.slice(row, here.rows()), here, Write::assign);
    f(row, here);
  }
}

}  // namespace detail

/// y = a b, or y += a b.   a [rows, inner], b [inner, cols], y [rows, cols]
template <class T>
void gemm_nn(Context& ctx, MatrixArg<T> a, MatrixArg<BFloat16> b, Matrix<T> y,
             Write write) noexcept {
  SIMGR_ASSERT(a.cols() == b.rows() && y.rows() == a.rows() && y.cols() == b.cols(),
               "gemm_nn: shapes");
  if (detail::by_packets<T>(y.rows(), y.cols(), false)) {
    detail::PacketProducts<T>::add_products(ctx, a.data(), a.cols(), 1, b.data(), b.cols(), 1,
                                            y.rows(), a.cols(), y.cols(), y.data(), write);
    return;
  }
  if (write == Write::assign) {
    std::fill(y.begin(), y.end(), T(0));
  }
  detail::in_widened_rows<T>(ctx, b, [&](Index row, Matrix<T> wide) {
    as_eigen(y).noalias() += as_eigen(a).middleCols(row, wide.rows()) * as_eigen(wide);
  });
}

/// y = a b', or y += a b'.   a [rows, inner], b [cols, inner], y [rows, cols]
template <class T>
void gemm_nt(Context& ctx, MatrixArg<T> a, MatrixArg<BFloat16> b, Matrix<T> y,
             Write write) noexcept {
  SIMGR_ASSERT(a.cols() == b.cols() && y.rows() == a.rows() && y.cols() == b.rows(),
               "gemm_nt: shapes");
  if constexpr (std::is_same_v<T, float>) {
    if (suits_row_products(y.rows(), y.cols(), a.cols())) {
      row_products(ctx, a, b, nullptr, y, nullptr, write);
      return;
    }
  }
  if (detail::by_packets<T>(y.rows(), y.cols(), true)) {
    detail::PacketProducts<T>::add_products(ctx, a.data(), a.cols(), 1, b.data(), 1, b.cols(),
                                            y.rows(), a.cols(), y.cols(), y.data(), write);
    return;
  }
  detail::in_widened_rows<T>(ctx, b, [&](Index row, Matrix<T> wide) {
    auto part = as_eigen(y).middleCols(row, wide.rows());
    if (write == Write::assign) {
      part.noalias() = as_eigen(a) * as_eigen(wide).transpose();
    } else {
      part.noalias() += as_eigen(a) * as_eigen(wide).transpose();
    }
  });
}

/// y = a b' + bias, the numbers that gemm_nt and add_to_rows give.   bias [cols]
template <class T>
void affine_rows(Context& ctx, MatrixArg<T> a, MatrixArg<BFloat16> b, VectorArg<T> bias,
                 Matrix<T> y) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    if (suits_row_products(y.rows(), y.cols(), a.cols())) {
      row_products(ctx, a, b, nullptr, y, bias.data(), Write::assign);
      return;
    }
  }
  gemm_nt(ctx, a, b, y, Write::assign);
  add_to_rows(ctx, bias, y);
}

}  // namespace simgr::SIMGR_ABI::cpu
