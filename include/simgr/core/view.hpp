// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <type_traits>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// The only tensor type in signatures: pointer and shape, contiguous, row-major. Owns nothing.
///
/// @tparam T      element; `View<T>` converts to `View<const T>`
/// @tparam Rank   number of axes, at least 1
/// @tparam Space  Host or Device; elements can be read through a Host view only
template <class T, std::size_t Rank, class Space = Host>
class View {
public:
  using Element = T;

  constexpr View() noexcept = default;
  constexpr View(T* data, const Shape<Rank>& shape) noexcept : data_(data) {
    for (std::size_t axis = 0; axis < Rank; ++axis) { shape_[axis] = shape[axis]; }
  }

  /// A mutable view is a read-only view, too.
  constexpr operator View<const T, Rank, Space>() const noexcept requires(!std::is_const_v<T>) {
    return {data_, shape()};
  }

  constexpr T* data() const noexcept { return data_; }
  constexpr Index extent(std::size_t axis) const noexcept { return shape_[axis]; }
  constexpr Shape<Rank> shape() const noexcept {
    Shape<Rank> shape{};
    for (std::size_t axis = 0; axis < Rank; ++axis) { shape[axis] = shape_[axis]; }
    return shape;
  }
  constexpr Index size() const noexcept {
    Index size = 1;
    for (std::size_t axis = 0; axis < Rank; ++axis) { size *= shape_[axis]; }
    return size;
  }
  constexpr bool empty() const noexcept { return size() == 0; }

  /// First axis, and the product of all others: any rank flattens to a matrix.
  constexpr Index rows() const noexcept { return shape_[0]; }
  constexpr Index cols() const noexcept {
    Index cols = 1;
    for (std::size_t axis = 1; axis < Rank; ++axis) { cols *= shape_[axis]; }
    return cols;
  }

  constexpr T& operator[](Index i) const noexcept requires(Rank == 1) {
    SIMGR_ASSERT(i >= 0 && i < shape_[0], "view index out of range");
    return data_[i];
  }
  constexpr T& operator()(Index i, Index j) const noexcept requires(Rank == 2) {
    SIMGR_ASSERT(i >= 0 && i < shape_[0] && j >= 0 && j < shape_[1], "view index out of range");
    return data_[i * shape_[1] + j];
  }

  /// Rows [begin, begin + count) of the first axis, sharing memory.
  constexpr View slice(Index begin, Index count) const noexcept {
    SIMGR_ASSERT(begin >= 0 && count >= 0 && begin + count <= shape_[0], "view slice out of range");
    Shape<Rank> part = shape();
    part[0] = count;
    return {data_ + begin * cols(), part};
  }
  /// Row `i` of a matrix.
  constexpr View<T, 1, Space> row(Index i) const noexcept requires(Rank == 2) {
    SIMGR_ASSERT(i >= 0 && i < shape_[0], "view row out of range");
    return {data_ + i * shape_[1], {shape_[1]}};
  }

  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size(); }
  constexpr std::span<T> span() const noexcept { return {data_, static_cast<std::size_t>(size())}; }

private:
  T* data_ = nullptr;
  Index shape_[Rank] = {};  // a plain array: std::array in device code warns under nvcc
};

/// The two ranks that nearly all code needs: [rows, cols] and [count].
template <class T, class Space = Host>
using Matrix = View<T, 2, Space>;
template <class T, class Space = Host>
using Vector = View<T, 1, Space>;

/// Read-only arguments. T is not deduced from them, so a mutable view converts silently.
template <class T, class Space = Host>
using MatrixArg = View<const std::type_identity_t<T>, 2, std::type_identity_t<Space>>;
template <class T, class Space = Host>
using VectorArg = View<const std::type_identity_t<T>, 1, std::type_identity_t<Space>>;

/// Row boundaries of packed sequences [sequences + 1]: first 0, last the tokens, never falling.
using Offsets = std::span<const Index>;

}  // namespace simgr::SIMGR_ABI
