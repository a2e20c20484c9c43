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

TEST_CASE("a sparse product is the dense one, for any width") {
  const SparseRows a = sparse_example();
  const simgr::Serial serial;
  for (const simgr::Index width : {1, 2, 15, 16, 17, 64, 83, 150}) {
    simgr::OwnedMatrix<double> b(3, width), y(4, width);
    for (std::size_t i = 0; i < b.values.size(); ++i) { b.values[i] = static_cast<double>(i + 1); }
    y.values.assign(y.values.size(), 7.0);
    simgr::cpu::multiply<double>(serial, a, b, y.view());
    for (simgr::Index k = 0; k < width; ++k) {
      const auto of = [&](simgr::Index row) { return b.view()(row, k); };
      REQUIRE(y.view()(0, k) == 2 * of(1));
      REQUIRE(y.view()(1, k) == 0);
      REQUIRE(y.view()(2, k) == 3 * of(0) + 4 * of(2));
      REQUIRE(y.view()(3, k) == 5 * of(1));
    }
  }
}

TEST_CASE("a sparse product is added to, scaled and assigned or added, for any width") {
  const SparseRows a = sparse_example();
  const simgr::Serial serial;
  for (const simgr::Index width : {1, 8, 17, 64, 83}) {
    simgr::OwnedMatrix<double> b(3, width), x(4, width), plain(4, width), y(4, width);
    for (std::size_t i = 0; i < b.values.size(); ++i) { b.values[i] = static_cast<double>(i + 1); }
    for (std::size_t i = 0; i < x.values.size(); ++i) { x.values[i] = static_cast<double>(9 * i); }
    simgr::cpu::multiply<double>(serial, a, b, plain.view());
    y.values.assign(y.values.size(), 7.0);
    simgr::cpu::multiply<double>(serial, a, b, y.view(), x.view(), 0.5);
    for (std::size_t i = 0; i < y.values.size(); ++i) {
      REQUIRE(y.values[i] == 0.5 * (x.values[i] + plain.values[i]));
    }
    y.values.assign(y.values.size(), 7.0);
    simgr::cpu::multiply<double>(serial, a, b, y.view(), x.view(), 0.5, simgr::Write::add);
    for (std::size_t i = 0; i < y.values.size(); ++i) {
      REQUIRE(y.values[i] == 7 + 0.5 * (x.values[i] + plain.values[i]));
    }
    simgr::cpu::multiply<double>(serial, a, b, x.view(), x.view(), 0.5);  // in place
    for (std::size_t i = 0; i < y.values.size(); ++i) { REQUIRE(y.values[i] == 7 + x.values[i]); }
  }
}
