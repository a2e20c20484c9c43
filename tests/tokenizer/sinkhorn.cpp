// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/sinkhorn.hpp>

#include <cmath>
#include <set>

#include <doctest/doctest.h>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/rng.hpp>

using simgr::Index;
using simgr::tokenizer::Sinkhorn;

namespace {

simgr::OwnedMatrix<double> random_distances(Index rows, Index codes, std::uint64_t seed) {
  simgr::OwnedMatrix<double> d(rows, codes);
  simgr::Rng rng(seed);
  for (double& value : d.values) { value = 3 * rng.uniform(); }
  return d;
}

/// Every iteration in logarithms.
std::vector<double> log_plan_by_logarithms(const simgr::OwnedMatrix<double>& d, double epsilon,
                                           int iterations) {
  const auto [least, most] = std::minmax_element(d.values.begin(), d.values.end());
  const double middle = (*most + *least) / 2, width = *most - middle + 1e-5;
  std::vector<double> q;
  for (const double value : d.values) { q.push_back(-(value - middle) / width / epsilon); }
  const auto at = [&](Index i, Index k) -> double& {
    return q[static_cast<std::size_t>(i * d.cols + k)];
  };
  const auto normalise = [&](Index first, Index second, double mass, auto&& element) {
    for (Index i = 0; i < first; ++i) {
      double high = -1e300, sum = 0;
      for (Index k = 0; k < second; ++k) { high = std::max(high, element(i, k)); }
      for (Index k = 0; k < second; ++k) { sum += std::exp(element(i, k) - high); }
      for (Index k = 0; k < second; ++k) { element(i, k) -= high + std::log(sum) - std::log(mass); }
    }
  };
  for (int i = 0; i < iterations; ++i) {
    normalise(d.rows, d.cols, 1.0 / static_cast<double>(d.rows), at);
    normalise(d.cols, d.rows, 1.0 / static_cast<double>(d.cols),
              [&](Index k, Index row) -> double& { return at(row, k); });
  }
  return q;
}

}  // namespace

TEST_CASE("a Sinkhorn plan is that of logarithms throughout, down to tiny entropies") {
  for (const double epsilon : {0.5, 0.05, 0.003, 0.0005, 0.00002}) {
    for (const auto& [rows, codes] : {std::pair<Index, Index>{24, 6}, {6, 24}, {2, 64}, {31, 13}}) {
      CAPTURE(epsilon);
      CAPTURE(rows);
      const auto d = random_distances(rows, codes, 7);
      const auto expected = log_plan_by_logarithms(d, epsilon, 50);
      Sinkhorn sinkhorn({.epsilon = epsilon});
      const auto found = sinkhorn.log_plan(d);
      for (Index i = 0; i < found.size(); ++i) {
        const double want = expected[static_cast<std::size_t>(i)];
        REQUIRE(std::abs(found.data()[i] - want) <= 1e-9 * std::max(1.0, std::abs(want)));
      }
    }
  }
}

TEST_CASE("a converged plan has even rows and even columns") {
  const auto d = random_distances(40, 10, 8);
  Sinkhorn sinkhorn({.epsilon = 0.05, .iterations = 500});
  const auto plan = sinkhorn.log_plan(d);
  std::vector<double> columns(10);
  for (Index row = 0; row < 40; ++row) {
    double sum = 0;
    for (Index k = 0; k < 10; ++k) {
      sum += std::exp(plan(row, k));
      columns[static_cast<std::size_t>(k)] += std::exp(plan(row, k));
    }
    CHECK(sum == doctest::Approx(1.0 / 40).epsilon(1e-6));
  }
  for (const double sum : columns) { CHECK(sum == doctest::Approx(0.1).epsilon(1e-9)); }
}

TEST_CASE("rows that all lie at one code are spread, equal rows are not") {
  // All rows nearest to code 0; the relative order differs.
  simgr::OwnedMatrix<double> d(4, 4);
  for (Index row = 0; row < 4; ++row) {
    for (Index k = 0; k < 4; ++k) {
      d.view()(row, k) = k == 0 ? 0.1 : 1.0 + (row == k ? -0.3 : 0.0);
    }
  }
  std::vector<std::int32_t> codes(4);
  Sinkhorn().assign(d, {codes.data(), {4}});
  CHECK(std::set<std::int32_t>(codes.begin(), codes.end()).size() == 4);

  std::fill(d.values.begin(), d.values.end(), 0.25);
  Sinkhorn().assign(d, {codes.data(), {4}});
  CHECK(codes == std::vector<std::int32_t>(4, 0));
}
