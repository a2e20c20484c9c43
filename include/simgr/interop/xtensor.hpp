// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#if __has_include(<xtensor/containers/xtensor.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xtensor.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xtensor.hpp>
#endif

#include <simgr/core/error.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/view.hpp>
#include <simgr/data/npy.hpp>
#include <simgr/io/data_writer.hpp>

// What users hold, at the boundary: the only header that includes xtensor. Nothing is copied unless
// the name says so.

namespace simgr::SIMGR_ABI::interop {

/// The elements of a view as an xtensor expression that shares its memory, both ways.
template <class T, std::size_t Rank>
auto as_xtensor(View<T, Rank> view) {
  std::array<std::size_t, Rank> shape{};
  for (std::size_t axis = 0; axis < Rank; ++axis) {
    shape[axis] = static_cast<std::size_t>(view.extent(axis));
  }
  return xt::adapt(view.data(), static_cast<std::size_t>(view.size()), xt::no_ownership(), shape);
}
template <class T>
auto as_xtensor(OwnedMatrix<T>& matrix) {
  return as_xtensor(matrix.view());
}
template <class T>
auto as_xtensor(const OwnedMatrix<T>& matrix) {
  return as_xtensor(matrix.view());
}

namespace detail {
template <class Element, class Tensor>
auto view_of(Tensor& tensor) {
  static_assert(Tensor::static_layout == xt::layout_type::row_major,
                "simgr: views are row-major; give as_view a row-major xtensor");
  constexpr std::size_t rank = std::tuple_size_v<typename Tensor::shape_type>;
  Shape<rank> shape{};
  for (std::size_t axis = 0; axis < rank; ++axis) {
    shape[axis] = static_cast<Index>(tensor.shape()[axis]);
  }
  return View<Element, rank>(tensor.data(), shape);
}
}  // namespace detail

/// A view of what a row-major xtensor holds. The tensor must outlive it: a temporary is refused.
template <class T, std::size_t Rank>
View<T, Rank> as_view(xt::xtensor<T, Rank>& tensor) {
  return detail::view_of<T>(tensor);
}
template <class T, std::size_t Rank>
View<const T, Rank> as_view(const xt::xtensor<T, Rank>& tensor) {
  return detail::view_of<const T>(tensor);
}
template <class T, std::size_t Rank>
void as_view(xt::xtensor<T, Rank>&&) = delete;

/// A matrix with memory of its own from any xtensor expression of two axes: what a Catalogue takes.
template <class T, class Expression>
OwnedMatrix<T> copy_of(const Expression& expression) {
  const xt::xtensor<T, 2> tensor(expression);
  const auto view = as_view(tensor);
  OwnedMatrix<T> matrix(view.rows(), view.cols());
  std::copy(view.begin(), view.end(), matrix.values.begin());
  return matrix;
}

/// Reads `.npy` or `.npy.gz` of float16, float32 or float64 with the checks of data::read_npy.
///
/// Errors  those of data::try_read_npy
inline Result<xt::xtensor<float, 2>> try_read_npy(const std::string& path) {
  auto matrix = data::try_read_npy(path);
  if (!matrix) {
    return matrix.error();
  }
  return xt::xtensor<float, 2>(as_xtensor(*matrix));
}
inline xt::xtensor<float, 2> read_npy(const std::string& path) {
  return try_read_npy(path).value_or_raise();
}

using io::try_write_npy;
using io::write_npy;

}  // namespace simgr::SIMGR_ABI::interop
