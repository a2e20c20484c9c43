// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/truncated_svd.hpp>

#include <cmath>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::SparseRows;
using namespace simgr::text;

namespace {

SparseRows random_sparse(Index rows, Index cols, Index entries_per_row, std::uint64_t seed) {
  SparseRows a;
  a.cols = cols;
  simgr::Rng rng(seed);
  for (Index row = 0; row < rows; ++row) {
    std::vector<std::int32_t> picked;
    for (Index e = 0; e < entries_per_row; ++e) {
      // Squares crowd the low columns: a spectrum that falls, as that of texts does.
      picked.push_back(
          static_cast<std::int32_t>(static_cast<double>(cols) * std::pow(rng.uniform(), 3.0)));
    }
    std::sort(picked.begin(), picked.end());
    picked.erase(std::unique(picked.begin(), picked.end()), picked.end());
    for (const std::int32_t column : picked) {
      a.columns.push_back(column);
      a.values.push_back(static_cast<float>(1.0 + rng.uniform()));
    }
    a.offsets.push_back(a.entries());
  }
  return a;
}

struct Dense {
  simgr::OwnedMatrix<double> a, u, v;
  std::vector<double> values;
};

Dense exact(const SparseRows& sparse) {
  const Index n = std::min(sparse.rows(), sparse.cols);
  Dense d{{sparse.rows(), sparse.cols},
          {sparse.rows(), n},
          {n, sparse.cols},
          std::vector<double>(static_cast<std::size_t>(n))};
  for (Index row = 0; row < sparse.rows(); ++row) {
    for (std::size_t e = 0; e < sparse.columns_of(row).size(); ++e) {
      d.a.view()(row, sparse.columns_of(row)[e]) = static_cast<double>(sparse.values_of(row)[e]);
    }
  }
  simgr::cpu::thin_svd<double>(d.a, d.u.view(), {d.values.data(), {n}}, d.v.view());
  return d;
}

}  // namespace

TEST_CASE("leading singular values and coordinates are those of the dense decomposition") {
  const SparseRows a = random_sparse(120, 90, 12, 1);
  const Dense reference = exact(a);
  const TruncatedSvd found = truncated_svd(a, {.width = 6, .power_iterations = 8});
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(found.values[i] == doctest::Approx(reference.values[i]).epsilon(1e-4));
  }
  // U Σ is unique up to signs: inner products of rows are the same.
  for (Index r = 0; r < 120; r += 7) {
    for (Index s = 0; s < 120; s += 11) {
      double expected = 0, product = 0;
      for (Index k = 0; k < 6; ++k) {
        const double value = reference.values[static_cast<std::size_t>(k)];
        expected += reference.u.view()(r, k) * reference.u.view()(s, k) * value * value;
        product += static_cast<double>(found.rows.view()(r, k)) *
                   static_cast<double>(found.rows.view()(s, k));
      }
      CHECK(product == doctest::Approx(expected).epsilon(0.02).scale(1.0));
    }
  }
}

TEST_CASE("at full width nothing is lost: inner products of rows are those of the matrix") {
  const SparseRows a = random_sparse(30, 50, 6, 2);
  const Dense reference = exact(a);
  const TruncatedSvd found = truncated_svd(a, {.width = 40});
  REQUIRE(found.rows.cols == 40);
  for (Index r = 0; r < 30; ++r) {
    for (Index s = 0; s < 30; ++s) {
      double expected = 0, product = 0;
      for (Index k = 0; k < 50; ++k) {
        expected += reference.a.view()(r, k) * reference.a.view()(s, k);
      }
      for (Index k = 0; k < 40; ++k) {
        product += static_cast<double>(found.rows.view()(r, k)) *
                   static_cast<double>(found.rows.view()(s, k));
      }
      CHECK(product == doctest::Approx(expected).epsilon(1e-4).scale(1.0));
    }
    for (Index k = 30; k < 40; ++k) { CHECK(found.rows.view()(r, k) == 0.0f); }
  }
}

TEST_CASE("empty and rank-deficient matrices give zeros, not noise") {
  SparseRows empty;
  empty.offsets = {0, 0, 0};
  CHECK(truncated_svd(empty, {.width = 3}).rows.values == std::vector<float>(6));
  SparseRows one;  // four equal rows: rank 1
  one.cols = 2;
  one.offsets = {0, 2, 4, 6, 8};
  one.columns = {0, 1, 0, 1, 0, 1, 0, 1};
  one.values = {3, 4, 3, 4, 3, 4, 3, 4};
  const TruncatedSvd found = truncated_svd(one, {.width = 2});
  CHECK(found.values[0] == doctest::Approx(10));
  CHECK(found.values[1] < 1e-4);
  for (Index row = 0; row < 4; ++row) {
    CHECK(std::abs(found.rows.view()(row, 0)) == doctest::Approx(5));
    CHECK(std::abs(found.rows.view()(row, 1)) < 1e-4f);
  }
}
