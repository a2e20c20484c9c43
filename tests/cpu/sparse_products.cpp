// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/sparse_products.hpp>

#include <doctest/doctest.h>

#include <simgr/core/owned_matrix.hpp>

using simgr::SparseRows;

namespace {

/// [[0, 2, 0], [0, 0, 0], [3, 0, 4], [0, 5, 0]]
SparseRows sparse_example() {
  SparseRows a;
  a.offsets = {0, 1, 1, 3, 4};
  a.columns = {1, 0, 2, 1};
  a.values = {2, 3, 4, 5};
  a.cols = 3;
  return a;
}

}  // namespace

TEST_CASE("transposing a sparse matrix twice gives it back") {
  const SparseRows t = transposed(sparse_example());
  CHECK(t.rows() == 3);
  CHECK(t.cols == 4);
  CHECK(t.offsets == std::vector<simgr::Index>{0, 1, 3, 4});
  CHECK(t.columns == std::vector<std::int32_t>{2, 0, 3, 2});
  CHECK(t.values == std::vector<float>{3, 2, 5, 4});
  const SparseRows back = transposed(t);
  CHECK(back.columns == sparse_example().columns);
  CHECK(back.values == sparse_example().values);
  CHECK(back.offsets == sparse_example().offsets);
}

TEST_CASE("a sparse product is the dense one") {
  simgr::OwnedMatrix<float> b(3, 2), y(4, 2);
  b.values = {1, 2, 3, 4, 5, 6};
  simgr::Serial serial;
  simgr::cpu::multiply<float>(serial, sparse_example(), b, y.view());
  CHECK(y.values == std::vector<float>{6, 8, 0, 0, 23, 30, 15, 20});
}
