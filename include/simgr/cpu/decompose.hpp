// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

// Before the rest of Eigen, whose core it brings in without the compiler's false alarms.
// clang-format off
#include <simgr/cpu/eigen.hpp>
// clang-format on

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

// Decompositions of dense matrices. They cost seconds to compile and belong to preparation, not to
// a step: no layer includes this file. Eigen allocates inside. Signs are fixed: of every vector the
// entry of largest magnitude (the first of equals) is positive, so equal input gives equal output.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// -1 where the leading entry of a vector is negative, else 1.
template <class Derived>
typename Derived::Scalar leading_sign(const Eigen::MatrixBase<Derived>& vector) {
  Eigen::Index at = 0;
  vector.cwiseAbs().maxCoeff(&at);
  return vector(at) < 0 ? typename Derived::Scalar(-1) : typename Derived::Scalar(1);
}

}  // namespace detail

/// Replaces a by orthonormal columns that span its columns (Householder). A matrix of lower rank is
/// completed by arbitrary further directions.
///
/// Shapes  a [rows, cols], rows >= cols
/// Cost    O(rows · cols²), one copy of a
template <class T>
void orthonormalise_columns(Matrix<T> a) {
  SIMGR_ASSERT(a.rows() >= a.cols(), "orthonormalise_columns: more columns than rows");
  using Dense = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  const Eigen::HouseholderQR<Dense> qr(as_eigen(a));
  const Dense q = qr.householderQ() * Dense::Identity(a.rows(), a.cols());
  as_eigen(a) = q;
}

/// a = V' diag(values) V of a symmetric matrix, largest value first; row i of V is the vector of
/// values[i]. Only the lower triangle of a is read.
///
/// Shapes  a, vectors [n, n];  values [n]
/// Cost    O(n³)
template <class T>
void symmetric_eigen(MatrixArg<T> a, Vector<T> values, Matrix<T> vectors) {
  SIMGR_ASSERT(a.rows() == a.cols() && values.size() == a.rows() && vectors.rows() == a.rows() &&
                   vectors.cols() == a.rows(),
               "symmetric_eigen: shapes");
  using Dense = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  const Eigen::SelfAdjointEigenSolver<Dense> solver(as_eigen(a));
  const Index n = a.rows();
  for (Index i = 0; i < n; ++i) {
    const auto vector = solver.eigenvectors().col(n - 1 - i);
    values[i] = solver.eigenvalues()(n - 1 - i);
    as_eigen(vectors).row(i) = detail::leading_sign(vector) * vector.transpose();
  }
}

/// a = U diag(values) V, thin, largest value first.
///
/// Shapes  a [rows, cols], n = min(rows, cols):  u [rows, n], values [n], v [n, cols]
/// Cost    O(rows · cols · n)
template <class T>
void thin_svd(MatrixArg<T> a, Matrix<T> u, Vector<T> values, Matrix<T> v) {
  const Index n = std::min(a.rows(), a.cols());
  SIMGR_ASSERT(u.rows() == a.rows() && u.cols() == n && values.size() == n && v.rows() == n &&
                   v.cols() == a.cols(),
               "thin_svd: shapes");
  using Dense = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  // BDCSVD is faster from a few hundred columns up, but costs 20 s more to compile.
  const Eigen::JacobiSVD<Dense, Eigen::HouseholderQRPreconditioner> svd(
      as_eigen(a), Eigen::ComputeThinU | Eigen::ComputeThinV);
  for (Index i = 0; i < n; ++i) {
    const T sign = detail::leading_sign(svd.matrixV().col(i));
    values[i] = svd.singularValues()(i);
    as_eigen(u).col(i) = sign * svd.matrixU().col(i);
    as_eigen(v).row(i) = sign * svd.matrixV().col(i).transpose();
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
