// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

// g++ 12 takes the undefined registers of AVX-512 intrinsics for uninitialised variables (GCC bug
// 105593), wherever the optimiser puts them. It asks the lines that it inlined, so that silence
// about Eigen's lines is silence about the host's programs, and about nothing else in them.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC diagnostic pop
#endif

#include <simgr/core/view.hpp>

// The one door between views and Eigen. No Eigen type leaves the folder cpu/, and no expression is
// held in `auto`.

namespace simgr::SIMGR_ABI::cpu {

/// What a matrix, and a row of elements, are in Eigen: row-major maps of somebody's memory.
template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using EigenMap =
    Eigen::Map<std::conditional_t<std::is_const_v<T>, const EigenMatrix<std::remove_const_t<T>>,
                                  EigenMatrix<std::remove_const_t<T>>>>;
template <class T>
using EigenRow =
    Eigen::Map<std::conditional_t<std::is_const_v<T>,
                                  const Eigen::Array<std::remove_const_t<T>, 1, Eigen::Dynamic>,
                                  Eigen::Array<std::remove_const_t<T>, 1, Eigen::Dynamic>>>;

/// A view of any rank as a matrix [rows, everything else], sharing memory.
template <class T, std::size_t Rank>
EigenMap<T> as_eigen(View<T, Rank> view) noexcept {
  return {view.data(), view.rows(), view.cols()};
}
/// All elements of a view as one row of an array, for elementwise expressions.
template <class T, std::size_t Rank>
EigenRow<T> as_row(View<T, Rank> view) noexcept {
  return {view.data(), view.size()};
}

}  // namespace simgr::SIMGR_ABI::cpu
