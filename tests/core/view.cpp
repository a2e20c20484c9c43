// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/view.hpp>

#include <numeric>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::Matrix;
using simgr::View;

namespace {

std::vector<int> counted(int count) {
  std::vector<int> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

template <class To, class From>
constexpr bool converts = std::is_convertible_v<From, To>;

}  // namespace

TEST_CASE("a view is row-major") {
  auto values = counted(6);
  const Matrix<int> matrix(values.data(), {2, 3});
  CHECK(matrix(0, 0) == 0);
  CHECK(matrix(0, 2) == 2);
  CHECK(matrix(1, 0) == 3);
  CHECK(matrix(1, 2) == 5);
  matrix(1, 1) = 40;
  CHECK(values[4] == 40);
}

TEST_CASE("a default view is empty and has no memory") {
  const View<float, 3> view;
  CHECK(view.empty());
  CHECK(view.data() == nullptr);
  CHECK(view.size() == 0);
}

TEST_CASE("rows and cols flatten any rank to a matrix") {
  auto values = counted(24);
  const View<int, 3> cube(values.data(), {2, 3, 4});
  CHECK(cube.rows() == 2);
  CHECK(cube.cols() == 12);
  CHECK(cube.size() == 24);
  CHECK(cube.extent(1) == 3);
  const View<int, 1> vector(values.data(), {24});
  CHECK(vector.rows() == 24);
  CHECK(vector.cols() == 1);
  CHECK(vector[23] == 23);
}

TEST_CASE("an axis of length zero makes a view empty, whatever the others say") {
  const View<int, 3> view(nullptr, {5, 0, 7});
  CHECK(view.empty());
  CHECK(view.cols() == 0);
  CHECK(view.begin() == view.end());
}

TEST_CASE("slices and rows share memory") {
  auto values = counted(12);
  const Matrix<int> matrix(values.data(), {4, 3});
  const Matrix<int> middle = matrix.slice(1, 2);
  CHECK(middle.shape() == simgr::Shape<2>{2, 3});
  CHECK(middle(0, 0) == 3);
  CHECK(middle.data() == values.data() + 3);
  const View<int, 1> last = matrix.row(3);
  CHECK(last.extent(0) == 3);
  last[2] = -1;
  CHECK(values[11] == -1);
  CHECK(matrix.slice(4, 0).empty());
}

TEST_CASE("a view can be walked and seen as a span") {
  auto values = counted(6);
  const Matrix<int> matrix(values.data(), {2, 3});
  CHECK(std::accumulate(matrix.begin(), matrix.end(), 0) == 15);
  CHECK(matrix.span().size() == 6);
  CHECK(matrix.span().back() == 5);
}

TEST_CASE("a mutable view is a read-only view, and never the other way round") {
  static_assert(converts<View<const int, 2>, View<int, 2>>);
  static_assert(!converts<View<int, 2>, View<const int, 2>>);
  static_assert(converts<simgr::MatrixArg<float>, Matrix<float>>);
  static_assert(converts<simgr::VectorArg<float>, simgr::Vector<float>>);
  auto values = counted(4);
  const View<const int, 2> view = Matrix<int>(values.data(), {2, 2});
  CHECK(view(1, 1) == 3);
}

TEST_CASE("memory spaces, ranks and elements do not mix") {
  static_assert(!converts<Matrix<float>, Matrix<float, simgr::Device>>);
  static_assert(!converts<simgr::MatrixArg<float>, Matrix<float, simgr::Device>>);
  static_assert(!converts<View<float, 2>, View<float, 3>>);
  static_assert(!converts<View<const double, 2>, View<float, 2>>);
  static_assert(std::is_trivially_copyable_v<View<float, 2>>);
}

TEST_CASE("a view can be used at compile time") {
  static constexpr int values[] = {1, 2, 3, 4};
  constexpr View<const int, 2> view(values, {2, 2});
  static_assert(view(1, 0) == 3);
  static_assert(view.row(1)[1] == 4);
  CHECK(view.size() == 4);
}
