// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/packed_matrices.hpp>
#include <simgr/cpu/packet_products.hpp>
#include <simgr/cpu/row_products.hpp>
#include <simgr/cpu/tile_products.hpp>

// Every matrix product of the library's layers, kept in one place because they compile slowly.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// Whether a product is one for PacketProducts: whole packets of columns, and rows enough to pay for
/// the copy of b. Eigen's products take a quarter longer (64 to 384 wide, Zen 4).
template <class T>
bool by_packets(Index rows, Index cols, bool turned) noexcept {
  return cols % PacketProducts<T>::lanes == 0 && rows >= (turned ? 64 : 16);
}

/// The packed copy of b, or null.
inline const float* panels_of(const Context& ctx, MatrixArg<float> b) noexcept {
  return ctx.packed != nullptr ? ctx.packed->find(b.data()) : nullptr;
}

}  // namespace detail

/// y = a b, or y += a b.   a [rows, inner], b [inner, cols], y [rows, cols]
template <class T>
void gemm_nn(Context& ctx, MatrixArg<T> a, MatrixArg<T> b, Matrix<T> y, Write write) noexcept {
  SIMGR_ASSERT(a.cols() == b.rows() && y.rows() == a.rows() && y.cols() == b.cols(),
               "gemm_nn: shapes");
  if constexpr (std::is_same_v<T, float>) {
    if (by_tiles(ctx, a.data(), a.cols(), 1, b.data(), b.cols(), 1, y.rows(), a.cols(), y.cols(),
                 y.data(), write)) {
      return;
    }
  }
  if (detail::by_packets<T>(y.rows(), y.cols(), false)) {
    detail::PacketProducts<T>::add_products(ctx, a.data(), a.cols(), 1, b.data(), b.cols(), 1,
                                            y.rows(), a.cols(), y.cols(), y.data(), write);
    return;
  }
  if (write == Write::assign) {
    as_eigen(y).noalias() = as_eigen(a) * as_eigen(b);
  } else {
    as_eigen(y).noalias() += as_eigen(a) * as_eigen(b);
  }
}

/// y = a b', or y += a b'.   a [rows, inner], b [cols, inner], y [rows, cols]
template <class T>
void gemm_nt(Context& ctx, MatrixArg<T> a, MatrixArg<T> b, Matrix<T> y, Write write) noexcept {
  SIMGR_ASSERT(a.cols() == b.cols() && y.rows() == a.rows() && y.cols() == b.rows(),
               "gemm_nt: shapes");
  if constexpr (std::is_same_v<T, float>) {
    if (by_tiles(ctx, a.data(), a.cols(), 1, b.data(), 1, b.cols(), y.rows(), a.cols(), y.cols(),
                 y.data(), write)) {
      return;
    }
  }
  if constexpr (std::is_same_v<T, float>) {
    if (suits_row_products(y.rows(), y.cols(), a.cols())) {
      row_products(ctx, a, b, detail::panels_of(ctx, b), y, nullptr, write);
      return;
    }
  }
  if (detail::by_packets<T>(y.rows(), y.cols(), true)) {
    detail::PacketProducts<T>::add_products(ctx, a.data(), a.cols(), 1, b.data(), 1, b.cols(),
                                            y.rows(), a.cols(), y.cols(), y.data(), write);
    return;
  }
  if (write == Write::assign) {
    as_eigen(y).noalias() = as_eigen(a) * as_eigen(b).transpose();
  } else {
    as_eigen(y).noalias() += as_eigen(a) * as_eigen(b).transpose();
  }
}

/// y = a b' + bias, the numbers that gemm_nt and add_to_rows give.   bias [cols]
template <class T>
void affine_rows(Context& ctx, MatrixArg<T> a, MatrixArg<T> b, VectorArg<T> bias,
                 Matrix<T> y) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    const bool on_tiles = ctx.matmul != MatMul::fp32 && has_tiles();
    if (!on_tiles && suits_row_products(y.rows(), y.cols(), a.cols())) {
      row_products(ctx, a, b, detail::panels_of(ctx, b), y, bias.data(), Write::assign);
      return;
    }
  }
  gemm_nt(ctx, a, b, y, Write::assign);
  add_to_rows(ctx, bias, y);
}

/// y = a' b, or y += a' b.   a [inner, rows], b [inner, cols], y [rows, cols]
template <class T>
void gemm_tn(Context& ctx, MatrixArg<T> a, MatrixArg<T> b, Matrix<T> y, Write write) noexcept {
  SIMGR_ASSERT(a.rows() == b.rows() && y.rows() == a.cols() && y.cols() == b.cols(),
               "gemm_tn: shapes");
  if constexpr (std::is_same_v<T, float>) {
    if (by_tiles(ctx, a.data(), 1, a.cols(), b.data(), b.cols(), 1, y.rows(), a.rows(), y.cols(),
                 y.data(), write)) {
      return;
    }
  }
  if (detail::by_packets<T>(y.rows(), y.cols(), false)) {
    detail::PacketProducts<T>::add_products(ctx, a.data(), 1, a.cols(), b.data(), b.cols(), 1,
                                            y.rows(), a.rows(), y.cols(), y.data(), write);
    return;
  }
  if (write == Write::assign) {
    as_eigen(y).noalias() = as_eigen(a).transpose() * as_eigen(b);
  } else {
    as_eigen(y).noalias() += as_eigen(a).transpose() * as_eigen(b);
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
