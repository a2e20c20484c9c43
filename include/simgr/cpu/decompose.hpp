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

/// The orthonormal matrix nearest to a square one, its polar factor: q = U V of a = U diag(s) V, which
/// maximises trace(a' q). By the eigenvectors of a' a, with U orthonormalised afterwards, which costs
/// much less than a decomposition by rotations. Directions with s below 1e-8 of the largest are
/// completed, not resolved.
///
/// Shapes  a, q [n, n]
/// Cost    O(n³), four copies of a
template <class T>
void nearest_orthonormal(MatrixArg<T> a, Matrix<T> q) {
  SIMGR_ASSERT(a.rows() == a.cols() && q.rows() == a.rows() && q.cols() == a.rows(),
               "nearest_orthonormal: shapes");
  using Dense = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  const Dense square = as_eigen(a).transpose() * as_eigen(a);
  const Eigen::SelfAdjointEigenSolver<Dense> solver(square);
  const Dense v = solver.eigenvectors().rowwise().reverse();  // largest value first
  const Dense scaled = as_eigen(a) * v;                       // columns s_i u_i
  const Eigen::HouseholderQR<Dense> qr(scaled);
  Dense u = qr.householderQ() * Dense::Identity(a.rows(), a.rows());
  for (Index i = 0; i < a.rows(); ++i) {
    if (u.col(i).dot(scaled.col(i)) < 0) {
      u.col(i) = -u.col(i);
    }
  }
  as_eigen(q).noalias() = u * v.transpose();
}

}  // namespace simgr::SIMGR_ABI::cpu
