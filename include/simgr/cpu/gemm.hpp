// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

// Every matrix product of the library's layers, kept in one place because they compile slowly.

namespace simgr::SIMGR_ABI::cpu {

/// y = a b, or y += a b.   a [rows, inner], b [inner, cols], y [rows, cols]
template <class T>
void gemm_nn(Context&, MatrixArg<T> a, MatrixArg<T> b, Matrix<T> y, Write write) noexcept {
  SIMGR_ASSERT(a.cols() == b.rows() && y.rows() == a.rows() && y.cols() == b.cols(),
               "gemm_nn: shapes");
  if (write == Write::assign) {
    as_eigen(y).noalias() = as_eigen(a) * as_eigen(b);
  } else {
    as_eigen(y).noalias() += as_eigen(a) * as_eigen(b);
  }
}

/// y = a b', or y += a b'.   a [rows, inner], b [cols, inner], y [rows, cols]
template <class T>
void gemm_nt(Context&, MatrixArg<T> a, MatrixArg<T> b, Matrix<T> y, Write write) noexcept {
  SIMGR_ASSERT(a.cols() == b.cols() && y.rows() == a.rows() && y.cols() == b.rows(),
               "gemm_nt: shapes");
  if (write == Write::assign) {
    as_eigen(y).noalias() = as_eigen(a) * as_eigen(b).transpose();
  } else {
    as_eigen(y).noalias() += as_eigen(a) * as_eigen(b).transpose();
  }
}

/// y = a' b, or y += a' b.   a [inner, rows], b [inner, cols], y [rows, cols]
template <class T>
void gemm_tn(Context&, MatrixArg<T> a, MatrixArg<T> b, Matrix<T> y, Write write) noexcept {
  SIMGR_ASSERT(a.rows() == b.rows() && y.rows() == a.cols() && y.cols() == b.cols(),
               "gemm_tn: shapes");
  if (write == Write::assign) {
    as_eigen(y).noalias() = as_eigen(a).transpose() * as_eigen(b);
  } else {
    as_eigen(y).noalias() += as_eigen(a).transpose() * as_eigen(b);
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
