// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/owned_matrix.hpp>

#include <doctest/doctest.h>

TEST_CASE("an owned matrix begins as zeros and is written through its view") {
  simgr::OwnedMatrix<float> matrix(2, 3);
  CHECK(matrix.view()(1, 2) == 0.0f);
  matrix.view()(1, 2) = 4;
  CHECK(matrix.values[5] == 4.0f);
  const simgr::OwnedMatrix<float>& constant = matrix;
  const simgr::Matrix<const float> view = constant;
  CHECK(view(1, 2) == 4.0f);
  CHECK(view.shape() == simgr::Shape<2>{2, 3});
}

TEST_CASE("a copy owns memory of its own") {
  simgr::OwnedMatrix<int> first(1, 1);
  simgr::OwnedMatrix<int> second = first;
  second.view()(0, 0) = 9;
  CHECK(first.view()(0, 0) == 0);
}

TEST_CASE("no rows is empty and keeps its width") {
  const simgr::OwnedMatrix<int> matrix(0, 5);
  CHECK(matrix.empty());
  CHECK(matrix.view().extent(1) == 5);
  CHECK(simgr::OwnedMatrix<int>().empty());
}
