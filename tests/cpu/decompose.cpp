// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/decompose.hpp>

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/rng.hpp>

using simgr::Index;
using Dense = simgr::OwnedMatrix<double>;

namespace {

Dense random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Dense a(rows, cols);
  simgr::Rng rng(seed);
  for (double& value : a.values) { value = rng.normal(); }
  return a;
}

/// Largest |Σ_k a(i, k) b(k, j) - c(i, j)|.
double product_gap(const Dense& a, const Dense& b, const Dense& c) {
  double gap = 0;
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < b.cols; ++j) {
      double sum = -c.view()(i, j);
      for (Index k = 0; k < a.cols; ++k) { sum += a.view()(i, k) * b.view()(k, j); }
      gap = std::max(gap, std::fabs(sum));
    }
  }
  return gap;
}

Dense transposed(const Dense& a) {
  Dense t(a.cols, a.rows);
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < a.cols; ++j) { t.view()(j, i) = a.view()(i, j); }
  }
  return t;
}

Dense identity(Index n) {
  Dense one(n, n);
  for (Index i = 0; i < n; ++i) { one.view()(i, i) = 1; }
  return one;
}

Dense scaled_rows(const std::vector<double>& scale, Dense a) {
  for (Index i = 0; i < a.rows; ++i) {
    for (double& value : a.view().row(i)) { value *= scale[static_cast<std::size_t>(i)]; }
  }
  return a;
}

}  // namespace

TEST_CASE("orthonormal columns span what the columns spanned") {
  const Dense a = random_matrix(23, 7, 1);
  Dense q = a;
  simgr::cpu::orthonormalise_columns<double>(q.view());
  CHECK(product_gap(transposed(q), q, identity(7)) < 1e-12);
  Dense coordinates(7, 7);  // Q'A: then Q Q'A must be A
  for (Index i = 0; i < 7; ++i) {
    for (Index j = 0; j < 7; ++j) {
      for (Index r = 0; r < 23; ++r) {
        coordinates.view()(i, j) += q.view()(r, i) * a.view()(r, j);
      }
    }
  }
  CHECK(product_gap(q, coordinates, a) < 1e-12);
}

TEST_CASE("columns that depend on each other still give orthonormal ones") {
  Dense q = random_matrix(11, 4, 2);
  for (Index i = 0; i < 11; ++i) {
    q.view()(i, 2) = q.view()(i, 0);
    q.view()(i, 3) = 0;
  }
  simgr::cpu::orthonormalise_columns<double>(q.view());
  CHECK(product_gap(transposed(q), q, identity(4)) < 1e-12);
}

TEST_CASE(
    "symmetric eigenvectors rebuild the matrix, largest value first, leading entry positive") {
  const Dense half = random_matrix(9, 9, 3);
  Dense a(9, 9);
  for (Index i = 0; i < 9; ++i) {
    for (Index j = 0; j < 9; ++j) { a.view()(i, j) = half.view()(i, j) + half.view()(j, i); }
  }
  Dense vectors(9, 9);
  std::vector<double> values(9);
  simgr::cpu::symmetric_eigen<double>(a, {values.data(), {9}}, vectors.view());
  CHECK(std::is_sorted(values.rbegin(), values.rend()));
  CHECK(product_gap(transposed(vectors), scaled_rows(values, vectors), a) < 1e-12);
  CHECK(product_gap(vectors, transposed(vectors), identity(9)) < 1e-12);
  for (Index i = 0; i < 9; ++i) {
    const auto row = vectors.view().row(i);
    CHECK(*std::max_element(row.begin(), row.end()) >= -*std::min_element(row.begin(), row.end()));
  }
}

TEST_CASE("singular vectors rebuild tall and wide matrices") {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{13, 5}, {5, 13}, {1, 1}, {40, 40}}) {
    const Dense a = random_matrix(rows, cols, 4);
    const Index n = std::min(rows, cols);
    Dense u(rows, n), v(n, cols);
    std::vector<double> values(static_cast<std::size_t>(n));
    simgr::cpu::thin_svd<double>(a, u.view(), {values.data(), {n}}, v.view());
    CHECK(std::is_sorted(values.rbegin(), values.rend()));
    CHECK(values.back() > 0);
    CHECK(product_gap(u, scaled_rows(values, v), a) < 1e-12);
    CHECK(product_gap(transposed(u), u, identity(n)) < 1e-12);
    CHECK(product_gap(v, transposed(v), identity(n)) < 1e-12);
  }
}

TEST_CASE("the nearest orthonormal matrix is the polar factor, also of a singular matrix") {
  Dense rotation = random_matrix(9, 9, 6), stretch = identity(9), q(9, 9);
  simgr::cpu::orthonormalise_columns<double>(rotation.view());
  for (Index i = 0; i < 9; ++i) {  // symmetric, diagonally dominant: positive
    for (Index j = 0; j < 9; ++j) {
      stretch.view()(i, j) =
          i == j ? 10.0 + static_cast<double>(i) : 0.05 * static_cast<double>(i + j);
    }
  }
  Dense a(9, 9);
  for (Index i = 0; i < 9; ++i) {
    for (Index j = 0; j < 9; ++j) {
      for (Index k = 0; k < 9; ++k) {
        a.view()(i, j) += rotation.view()(i, k) * stretch.view()(k, j);
      }
    }
  }
  simgr::cpu::nearest_orthonormal<double>(a, q.view());
  CHECK(product_gap(q, stretch, a) < 1e-12);

  // Rank 2: still orthonormal, and the trace is that of the two singular values.
  const Dense narrow = random_matrix(9, 2, 7), wide = random_matrix(2, 9, 8);
  Dense u(9, 9), v(9, 9);
  std::fill(a.values.begin(), a.values.end(), 0.0);
  for (Index i = 0; i < 9; ++i) {
    for (Index j = 0; j < 9; ++j) {
      for (Index k = 0; k < 2; ++k) { a.view()(i, j) += narrow.view()(i, k) * wide.view()(k, j); }
    }
  }
  simgr::cpu::nearest_orthonormal<double>(a, q.view());
  CHECK(product_gap(transposed(q), q, identity(9)) < 1e-12);
  std::vector<double> values(9);
  simgr::cpu::thin_svd<double>(a, u.view(), {values.data(), {9}}, v.view());
  double trace = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) { trace += a.values[i] * q.values[i]; }
  CHECK(trace == doctest::Approx(values[0] + values[1]).epsilon(1e-10));
}
