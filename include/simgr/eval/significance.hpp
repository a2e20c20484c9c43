// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/eval/metrics.hpp>

// Whether a difference between methods is more than the luck of which users were asked. Everything
// works on one value a user and method, so it fits any metric that is a mean over users.

namespace simgr::SIMGR_ABI::eval {

/// What each user adds to HR@k: 1[rank <= k].
inline std::vector<double> hits(std::span<const double> ranks, Index k) {
  std::vector<double> values;
  values.reserve(ranks.size());
  for (const double rank : ranks) { values.push_back(rank <= static_cast<double>(k) ? 1 : 0); }
  return values;
}
/// What each user adds to NDCG@k: 1[rank <= k] / log2(rank + 1).
inline std::vector<double> gains(std::span<const double> ranks, Index k) {
  std::vector<double> values;
  values.reserve(ranks.size());
  for (const double rank : ranks) {
    values.push_back(rank <= static_cast<double>(k) ? discount(rank) : 0);
  }
  return values;
}

/// How often users are drawn again, and how much an interval holds.
struct ResampleOptions {
  Index draws = 2000;   // of the bootstrap
  Index flips = 10000;  // of the permutation test; the smallest p is 1 / (flips + 1)
  double level = 0.95;
  std::uint64_t seed = 1;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"draws", 1, 1e7, "resamples of the bootstrap"}, c.draws);
    f(Field{"flips", 1, 1e9, "sign patterns of the permutation test"}, c.flips);
    f(Field{"level", 1e-6, 1 - 1e-6, "share of an interval"}, c.level);
    f(Field{"seed", 0, 1.8e19, "of all random numbers"}, c.seed);
  }
};

/// A range that holds the true mean with the probability asked for.
struct Interval {
  double low = absent, high = absent;
};

/// Means of the same users, drawn again with replacement: the users of a draw are the same for all
/// methods, so differences of columns are differences between methods on equal users.
///
/// @param values  [users, methods]
/// @return        [draws, methods]
///
/// Cost    O(draws · users · methods); results do not depend on the executor
/// Errors  ConfigError: options out of range;  DataError: no users, or a value that is not finite
/// Source  Efron 1979; paired over methods as in Sakai 2006, section 3
template <Executor E = const Serial>
OwnedMatrix<double> bootstrap_means(MatrixArg<double> values, const ResampleOptions& options = {},
                                    E&& executor = Serial{}) {
  if (const std::string sentence = out_of_range(options); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  const Index users = values.rows(), methods = values.cols();
  if (users == 0) {
    SIMGR_THROW(DataError("significance of no users"));
  }
  for (Index i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values.data()[i])) {
      SIMGR_THROW(DataError("the value of user " + std::to_string(i / methods) + " for method " +
                            std::to_string(i % methods) + " is not finite"));
    }
  }
  OwnedMatrix<double> means(options.draws, methods);
  const Matrix<double> sums = means.view();
  executor.for_each(options.draws, [&](Index draw) {
    Rng rng(options.seed, static_cast<std::uint64_t>(draw));
    const Vector<double> row = sums.row(draw);
    for (Index i = 0; i < users; ++i) {
      const double* user = values.data() + rng.below(users) * methods;
      for (Index m = 0; m < methods; ++m) { row[m] += user[m]; }
    }
    for (double& sum : row) { sum /= static_cast<double>(users); }
  });
  return means;
}

/// The middle `level` of some draws: their (1 - level) / 2 and (1 + level) / 2 quantiles, linear
/// between neighbours.
inline Interval percentile_interval(std::vector<double> draws, double level) {
  if (draws.empty()) {
    return {};
  }
  std::sort(draws.begin(), draws.end());
  const auto quantile = [&](double share) {
    const double place = share * static_cast<double>(draws.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, draws.size() - 1);
    return draws[below] + (place - std::floor(place)) * (draws[above] - draws[below]);
  };
  return {quantile((1 - level) / 2), quantile((1 + level) / 2)};
}

/// Two-sided p of the mean difference under the hypothesis that a user's two values could as well
/// stand the other way round:
///
///   p = (1 + #{flips: |sum ± d_u| >= |sum d_u|}) / (1 + flips)
///
/// Uniform under the hypothesis but for ties; never 0; 1 where nothing differs.
///
/// Cost    O(flips · users that differ)
/// Errors  ConfigError: options out of range;  DataError: a difference that is not finite
/// Source  Fisher 1935, section 21; the added one as in Phipson & Smyth 2010
template <Executor E = const Serial>
double permutation_p(std::span<const double> differences, const ResampleOptions& options = {},
                     E&& executor = Serial{}) {
  if (const std::string sentence = out_of_range(options); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  std::vector<double> apart;  // users that do not differ weigh nothing either way
  double sum = 0, most = 0;
  for (const double d : differences) {
    if (d != 0) {
      apart.push_back(d);
      sum += d;
      most += std::abs(d);
    }
  }
  if (!std::isfinite(most)) {
    SIMGR_THROW(DataError("a difference between two methods is not finite"));
  }
  // Sums of the same numbers in other signs differ by rounding where they are equal in truth.
  const double reached = std::abs(sum) - 1e-12 * most;
  constexpr Index parts = 64;
  std::vector<Index> extreme(parts, 0);
  executor.for_each(parts, [&](Index part) {
    for (Index flip = part; flip < options.flips; flip += parts) {
      Rng rng(options.seed, (std::uint64_t{1} << 32) + static_cast<std::uint64_t>(flip));
      double flipped = 0;
      for (std::size_t first = 0; first < apart.size(); first += 64) {
        std::uint64_t signs = rng.bits();
        for (std::size_t i = first; i < std::min(first + 64, apart.size()); ++i, signs >>= 1) {
          flipped += (signs & 1u) != 0 ? apart[i] : -apart[i];
        }
      }
      extreme[static_cast<std::size_t>(part)] += std::abs(flipped) >= reached ? 1 : 0;
    }
  });
  const Index count = std::accumulate(extreme.begin(), extreme.end(), Index{0});
  return static_cast<double>(1 + count) / static_cast<double>(1 + options.flips);
}

/// p values as they count when several hypotheses are tested at once: the chance that any true
/// hypothesis is rejected stays below the level. NaN is no hypothesis and stays.
///
///   adjusted(i-th smallest of m) = min(1, max over j <= i of (m - j + 1) · p(j))
///
/// Source  Holm 1979
inline std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (!std::isnan(p[i])) {
      order.push_back(i);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.begin(), p.end());
  double highest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double left = static_cast<double>(order.size() - i);
    highest = std::max(highest, std::min(1.0, left * p[order[i]]));
    adjusted[order[i]] = highest;
  }
  return adjusted;
}

/// What the users say about one method, and about its distance from the reference.
struct Significance {
  double mean = absent;
  Interval interval;                       // of the mean
  double difference = absent;              // mean minus the reference's; absent for that itself
  Interval difference_interval;            // paired
  double p = absent, adjusted_p = absent;  // of the difference; by Holm over all other methods
};

/// All methods against one of them, on the same users.
///
/// @param values     [users, methods]
/// @param reference  column that the others are compared with
///
/// Cost    one bootstrap_means and a permutation_p a method
/// Errors  those of bootstrap_means;  ConfigError: no such column
template <Executor E = const Serial>
std::vector<Significance> compare_paired(MatrixArg<double> values, Index reference,
                                         const ResampleOptions& options = {},
                                         E&& executor = Serial{}) {
  const Index users = values.rows(), methods = values.cols();
  if (reference < 0 || reference >= methods) {
    SIMGR_THROW(ConfigError("reference: expected 0 to " + std::to_string(methods - 1) + ", found " +
                            std::to_string(reference)));
  }
  const OwnedMatrix<double> draws = bootstrap_means(values, options, executor);
  std::vector<Significance> result(static_cast<std::size_t>(methods));
  std::vector<double> p;
  for (Index m = 0; m < methods; ++m) {
    Significance& one = result[static_cast<std::size_t>(m)];
    std::vector<double> means, apart, differences;
    for (Index draw = 0; draw < options.draws; ++draw) {
      means.push_back(draws.view()(draw, m));
      apart.push_back(draws.view()(draw, m) - draws.view()(draw, reference));
    }
    double sum = 0, difference = 0;
    for (Index u = 0; u < users; ++u) {
      sum += values(u, m);
      differences.push_back(values(u, m) - values(u, reference));
      difference += differences.back();
    }
    one.mean = sum / static_cast<double>(users);
    one.interval = percentile_interval(std::move(means), options.level);
    if (m != reference) {
      one.difference = difference / static_cast<double>(users);
      one.difference_interval = percentile_interval(std::move(apart), options.level);
      one.p = permutation_p(differences, options, executor);
    }
    p.push_back(one.p);
  }
  const std::vector<double> adjusted = holm(p);
  for (std::size_t m = 0; m < result.size(); ++m) { result[m].adjusted_p = adjusted[m]; }
  return result;
}

}  // namespace simgr::SIMGR_ABI::eval
