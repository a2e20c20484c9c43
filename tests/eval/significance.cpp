// SPDX-License-Identifier: Apache-2.0
#include <simgr/eval/significance.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/cpu/thread_pool.hpp>

namespace {

using namespace simgr::eval;
using simgr::Index;
using simgr::OwnedMatrix;
using simgr::Rng;

OwnedMatrix<double> one_column(const std::vector<double>& values) {
  OwnedMatrix<double> matrix(static_cast<Index>(values.size()), 1);
  matrix.values = values;
  return matrix;
}

/// The share of `rounds` samples of `users` values whose interval holds the true mean.
template <class Draw>
double coverage_of(Index rounds, Index users, double truth, Draw&& draw) {
  Index holds = 0;
  for (Index round = 0; round < rounds; ++round) {
    Rng rng(11, static_cast<std::uint64_t>(round));
    std::vector<double> values;
    for (Index u = 0; u < users; ++u) { values.push_back(draw(rng)); }
    const ResampleOptions options{.draws = 400, .seed = static_cast<std::uint64_t>(round)};
    const OwnedMatrix<double> means = bootstrap_means(one_column(values), options);
    const Interval interval = percentile_interval(means.values, 0.95);
    holds += interval.low <= truth && truth <= interval.high ? 1 : 0;
  }
  return static_cast<double>(holds) / static_cast<double>(rounds);
}

}  // namespace

TEST_CASE("Hits and gains are what users add to HR and NDCG") {
  const std::vector<double> ranks{1, 3, 10, 10.5, 11, 400};
  const auto accuracy_at = accuracy(ranks, 10);
  double hit = 0, gain = 0;
  for (const double value : hits(ranks, 10)) { hit += value / 6; }
  for (const double value : gains(ranks, 10)) { gain += value / 6; }
  CHECK(hit == doctest::Approx(accuracy_at.hr).epsilon(1e-14));
  CHECK(gain == doctest::Approx(accuracy_at.ndcg).epsilon(1e-14));
}

TEST_CASE("A bootstrap interval holds the true mean about as often as it says" *
          doctest::test_suite("heavy")) {
  // The standard error of a share of 1,500 rounds is .006; percentile intervals of skewed values are
  // known to be a little short.
  const double normal = coverage_of(1500, 120, 3.0, [](Rng& rng) { return 3 + 2 * rng.normal(); });
  CHECK(normal > 0.925);
  CHECK(normal < 0.97);
  const double bernoulli =
      coverage_of(1500, 300, 0.2, [](Rng& rng) { return rng.uniform() < 0.2 ? 1.0 : 0.0; });
  CHECK(bernoulli > 0.92);
  CHECK(bernoulli < 0.97);
}

TEST_CASE("The bootstrap draws users, so its means spread as the mean of a sample does" *
          doctest::test_suite("heavy")) {
  Rng rng(5);
  std::vector<double> values;
  double sum = 0, squares = 0;
  constexpr Index users = 500;
  for (Index u = 0; u < users; ++u) {
    values.push_back(rng.normal());
    sum += values.back() / users;
  }
  for (const double value : values) { squares += (value - sum) * (value - sum) / users; }
  const OwnedMatrix<double> means = bootstrap_means(one_column(values), {.draws = 20000});
  double centre = 0, spread = 0;
  for (const double mean : means.values) { centre += mean / 20000; }
  for (const double mean : means.values) { spread += (mean - centre) * (mean - centre) / 20000; }
  CHECK(std::abs(centre - sum) < 4 * std::sqrt(squares / users / 20000));
  CHECK(spread / (squares / users) == doctest::Approx(1).epsilon(0.04));
}

TEST_CASE("Quantiles of an interval are linear between neighbours") {
  const Interval half = percentile_interval({4, 1, 3, 2, 5}, 0.5);
  CHECK(half.low == 2);
  CHECK(half.high == 4);
  const Interval wide = percentile_interval({0, 10}, 0.9);
  CHECK(wide.low == doctest::Approx(0.5));
  CHECK(wide.high == doctest::Approx(9.5));
  CHECK(std::isnan(percentile_interval({}, 0.5).low));
}

TEST_CASE("A permutation test comes near the enumeration of all signs") {
  Rng rng(3);
  for (int round = 0; round < 20; ++round) {
    const Index users = 1 + rng.below(12);
    std::vector<double> differences;
    for (Index u = 0; u < users; ++u) {
      // Ties among sums, and users that do not differ.
      differences.push_back(static_cast<double>(rng.below(7) - 2) / 3);
    }
    double sum = 0;
    for (const double d : differences) { sum += d; }
    Index extreme = 0;
    for (Index pattern = 0; pattern < (Index{1} << users); ++pattern) {
      double flipped = 0;
      for (Index u = 0; u < users; ++u) {
        const double d = differences[static_cast<std::size_t>(u)];
        flipped += (pattern >> u & 1) != 0 ? d : -d;
      }
      extreme += std::abs(flipped) > std::abs(sum) - 1e-9 ? 1 : 0;
    }
    const double exact = static_cast<double>(extreme) / static_cast<double>(Index{1} << users);
    const double found = permutation_p(differences, {.flips = 20000});
    CHECK(std::abs(found - exact) < 0.016);  // over four standard errors
  }
}

TEST_CASE("p is uniform where the two values of a user could change places") {
  constexpr Index rounds = 2000;
  std::vector<double> p;
  for (Index round = 0; round < rounds; ++round) {
    Rng rng(7, static_cast<std::uint64_t>(round));
    std::vector<double> differences;
    for (int u = 0; u < 40; ++u) { differences.push_back(rng.normal()); }
    p.push_back(permutation_p(differences,
                              {.flips = 199, .seed = 1000 + static_cast<std::uint64_t>(round)}));
  }
  std::sort(p.begin(), p.end());
  double apart = 0;  // Kolmogorov's distance from the uniform distribution on 1/200 … 1
  for (Index i = 0; i < rounds; ++i) {
    const double share = static_cast<double>(i + 1) / rounds;
    apart = std::max(apart, std::abs(share - p[static_cast<std::size_t>(i)]));
  }
  CHECK(apart < 1.63 / std::sqrt(static_cast<double>(rounds)) + 0.005);  // 1 % and the step of p
}

TEST_CASE("A difference in every user is seen, none is not") {
  const std::vector<double> clear(40, 0.5), none(40, 0.0);
  CHECK(permutation_p(clear, {.flips = 999}) == 1.0 / 1000);
  CHECK(permutation_p(none, {.flips = 999}) == 1);
  CHECK(permutation_p({}, {.flips = 999}) == 1);
}

TEST_CASE("Holm's correction of known p values") {
  const double absent_p = std::nan("");
  const auto adjusted = holm(std::vector<double>{0.01, absent_p, 0.04, 0.03, 0.005});
  CHECK(adjusted[0] == doctest::Approx(0.03));
  CHECK(std::isnan(adjusted[1]));
  CHECK(adjusted[2] == doctest::Approx(0.06));  // .04, but not below the one before it
  CHECK(adjusted[3] == doctest::Approx(0.06));
  CHECK(adjusted[4] == doctest::Approx(0.02));
  CHECK(holm(std::vector<double>{0.9, 0.8})[0] == 1);
  CHECK(holm({}).empty());
}

TEST_CASE("Holm keeps the chance of any false alarm below the level") {
  Index alarms = 0;
  for (std::uint64_t round = 0; round < 4000; ++round) {
    Rng rng(13, round);
    std::vector<double> p;
    for (int i = 0; i < 8; ++i) { p.push_back(rng.uniform()); }
    const auto adjusted = holm(p);
    alarms += *std::min_element(adjusted.begin(), adjusted.end()) < 0.05 ? 1 : 0;
  }
  CHECK(alarms < 4000 * 0.05 + 4 * 14);  // independent hypotheses: 1 - .99375^8 = .0489
  CHECK(alarms > 4000 * 0.0489 - 4 * 14);
}

TEST_CASE("Pairing sees what the spread of users hides") {
  // Users differ by far more than the methods do; the second method is better for nearly everybody.
  OwnedMatrix<double> values(200, 3);
  Rng rng(2);
  for (Index u = 0; u < 200; ++u) {
    const double level = 10 * rng.normal();
    values.view()(u, 0) = level;
    values.view()(u, 1) = level + 0.1 + 0.05 * rng.normal();
    values.view()(u, 2) = level;
  }
  const auto found = compare_paired(values, 0);
  REQUIRE(found.size() == 3);
  CHECK(found[1].interval.low < found[0].mean);  // apart, the two cannot be told apart
  CHECK(found[1].difference == doctest::Approx(0.1).epsilon(0.1));
  CHECK(found[1].difference_interval.low > 0.08);
  CHECK(found[1].difference_interval.high < 0.12);
  CHECK(found[1].p == 1.0 / 10001);
  CHECK(found[1].adjusted_p == doctest::Approx(2.0 / 10001));
  CHECK(found[2].difference == 0);
  CHECK(found[2].p == 1);
  for (const double value : {found[0].difference, found[0].p, found[0].adjusted_p}) {
    CHECK(std::isnan(value));
  }
}

TEST_CASE("Resampling is a function of seed and users, not of threads") {
  OwnedMatrix<double> values(97, 2);
  Rng rng(4);
  for (double& value : values.values) { value = rng.uniform(); }
  const ResampleOptions options{.draws = 300, .flips = 500, .seed = 9};
  simgr::cpu::ThreadPool pool(3);
  const auto serial = compare_paired(values, 1, options);
  const auto threaded = compare_paired(values, 1, options, pool);
  CHECK(serial[0].interval.low == threaded[0].interval.low);
  CHECK(serial[0].difference_interval.high == threaded[0].difference_interval.high);
  CHECK(serial[0].p == threaded[0].p);
  const auto other = compare_paired(values, 1, {.draws = 300, .flips = 500, .seed = 10});
  CHECK(serial[0].interval.low != other[0].interval.low);
}

TEST_CASE("Significance of what is no sample is refused by name") {
  CHECK_THROWS_WITH_AS(compare_paired(OwnedMatrix<double>(0, 2), 0), "significance of no users",
                       simgr::DataError);
  OwnedMatrix<double> values(2, 2);
  CHECK_THROWS_WITH_AS(compare_paired(values, 2), "reference: expected 0 to 1, found 2",
                       simgr::ConfigError);
  values.view()(1, 0) = std::nan("");
  CHECK_THROWS_WITH_AS(compare_paired(values, 0), "the value of user 1 for method 0 is not finite",
                       simgr::DataError);
  CHECK_THROWS_AS(permutation_p({}, {.flips = 0}), simgr::ConfigError);
  CHECK_THROWS_AS(permutation_p(std::vector<double>{1, std::nan("")}), simgr::DataError);
}
