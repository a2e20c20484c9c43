// SPDX-License-Identifier: Apache-2.0
#include <simgr/analysis/decoding_bias.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>
#include <simgr/data/synthetic_catalogue.hpp>

namespace {

using namespace simgr::analysis;
using simgr::Index;
using simgr::ItemId;
using simgr::Rng;
using simgr::SemanticIds;
using simgr::Trie;

/// All tuples of `digits` digits of `codes` codes, first digit slowest.
SemanticIds every_tuple(Index digits, Index codes) {
  Index items = 1;
  for (Index l = 0; l < digits; ++l) { items *= codes; }
  SemanticIds ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(items, digits);
  for (Index i = 0; i < items; ++i) {
    for (Index l = digits - 1, rest = i; l >= 0; --l, rest /= codes) {
      ids.codes.view()(i, l) = static_cast<std::int32_t>(rest % codes);
    }
  }
  ids.codes_per_digit.assign(static_cast<std::size_t>(digits), codes);
  return ids;
}
/// Tuples of every_tuple of two digits, by their number.
SemanticIds some_tuples(const std::vector<Index>& which, Index codes) {
  SemanticIds all = every_tuple(2, codes), ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(static_cast<Index>(which.size()), 2);
  for (std::size_t i = 0; i < which.size(); ++i) {
    for (Index l = 0; l < 2; ++l) {
      ids.codes.view()(static_cast<Index>(i), l) = all.codes.view()(which[i], l);
    }
  }
  ids.codes_per_digit = all.codes_per_digit;
  return ids;
}

std::vector<double> random_logs(Rng& rng, Index count, double spread) {
  std::vector<double> logs;
  for (Index i = 0; i < count; ++i) { logs.push_back(spread * rng.normal()); }
  normalise(logs);
  return logs;
}
/// A log-softmax a digit.
std::vector<double> random_digits(Rng& rng, const Trie& trie) {
  std::vector<double> digits;
  for (Index l = 0; l < trie.digits(); ++l) {
    const auto one = random_logs(rng, trie.first_row(l + 1) - trie.first_row(l), 1);
    digits.insert(digits.end(), one.begin(), one.end());
  }
  return digits;
}

}  // namespace

TEST_CASE("What a part of a distribution captures meets its identities") {
  for (std::uint64_t round = 0; round < 200; ++round) {
    Rng rng(31, round);
    const Index count = 1 + rng.below(50);
    const auto p = random_logs(rng, count, 2);
    std::vector<Index> reached;
    for (Index i = 0; i < count; ++i) {
      if (i == 0 || rng.uniform() < 0.4) {
        reached.push_back(i);
      }
    }
    double mass = 0;
    for (const Index i : reached) { mass += std::exp(p[static_cast<std::size_t>(i)]); }
    double kl = 0, tv = 0;  // by their sums over all places
    for (Index i = 0; i < count; ++i) {
      const double share = std::exp(p[static_cast<std::size_t>(i)]);
      const bool in = std::find(reached.begin(), reached.end(), i) != reached.end();
      const double kept = in ? share / mass : 0;
      kl += in ? kept * std::log(kept / share) : 0;
      tv += std::abs(kept - share) / 2;
    }
    const Captured found = captured(p, reached);
    CHECK(found.mass == doctest::Approx(mass).epsilon(1e-12));
    CHECK(std::abs(found.kl - kl) < 1e-12);
    CHECK(std::abs(found.tv - tv) < 1e-12);
  }
  CHECK(captured(std::vector<double>{0}, {}).mass == 0);
  CHECK(captured(std::vector<double>{0}, {}).tv == 1);
  CHECK(std::isinf(captured(std::vector<double>{0}, {}).kl));
}

TEST_CASE("A beam's bias tells errors of search from errors of the model") {
  // simgr.md 3.1 again; item 5 is the model's best and a beam of one never sees it.
  const Trie trie(some_tuples({0, 1, 2, 3, 4, 5, 6}, 5));
  std::vector<double> p{0.11, 0.11, 0.11, 0.11, 0.11, 0.405, 0.045};
  for (double& share : p) { share = std::log(share); }
  const PrefixLogs prefixes = prefix_logs(trie, leaf_logs(trie, p));
  const std::vector<Index> widths{1, 2, 7};
  const auto best = beam_bias(trie, prefixes, 5, widths, 1);
  REQUIRE(best.size() == 3);
  CHECK(best[0].captured.mass == doctest::Approx(0.11));
  CHECK(best[0].survival == std::vector<double>{0, 0});
  CHECK(best[0].exact_hr == 1);
  CHECK(best[0].hr == 0);
  CHECK(best[0].lost == 1);
  CHECK(best[0].won == 0);
  CHECK(best[0].overlap == 0);
  CHECK(best[1].captured.mass == doctest::Approx(0.405 + 0.11));
  CHECK(best[1].lost == 0);
  CHECK(best[1].hr == 1);
  CHECK(best[2].captured.mass == doctest::Approx(1).epsilon(1e-14));
  CHECK(best[2].captured.kl < 1e-14);
  const auto lucky = beam_bias(trie, prefixes, 0, widths, 1);
  CHECK(lucky[0].won == 1);  // its better rival was forgotten
  CHECK(lucky[0].survival == std::vector<double>{1, 1});
  const auto never = beam_bias(trie, prefixes, 6, widths, 1);
  CHECK(never[0].lost == 0);  // the model's own error, at any width
  CHECK(never[2].hr == 0);
  CHECK(best[0].rank == 1);
  CHECK(best[0].missed_rank == 1);
  CHECK(std::isnan(best[1].missed_rank));
  CHECK(never[0].rank == 7);
  CHECK(lucky[0].rank == 2);
  const auto means = mean({best, lucky, never});
  CHECK(means[0].rank == 2);
  CHECK(means[0].missed_rank == 1);  // of 1 and 7
  CHECK(means[2].missed_rank == 2);  // of 2 and 7
  CHECK(means[0].lost == doctest::Approx(1.0 / 3));
  CHECK(means[0].survival[0] == doctest::Approx(1.0 / 3));
  CHECK(means[1].captured.mass == doctest::Approx(0.515));
  CHECK(means[2].width == 7);
  CHECK(mean(std::vector<std::vector<BeamBias>>{}).empty());
}

TEST_CASE(
    "Lists of a beam as wide as the catalogue are the exact ones, ties and shared tuples too") {
  for (std::uint64_t round = 0; round < 200; ++round) {
    Rng rng(33, round);
    std::vector<Index> which;
    const Index items = 2 + rng.below(30);
    for (Index i = 0; i < items; ++i) { which.push_back(rng.below(16)); }
    const Trie trie(some_tuples(which, 4));
    std::vector<double> leaves;
    for (Index leaf = 0; leaf < trie.nodes(2); ++leaf) {
      leaves.push_back(static_cast<double>(rng.below(4)));
    }
    const Index k = 1 + rng.below(items);
    const auto one = beam_bias(trie, prefix_logs(trie, leaves), 0, std::vector<Index>{16}, k)[0];
    CHECK(one.overlap == 1);
    CHECK(one.captured.mass == doctest::Approx(1));
    CHECK(one.hr == one.exact_hr);
    CHECK(one.ndcg == one.exact_ndcg);
    // The list is items by score descending, id ascending.
    std::vector<std::pair<double, ItemId>> order;
    for (ItemId i = 0; i < items; ++i) {
      order.emplace_back(-leaves[static_cast<std::size_t>(trie.leaf(i))], i);
    }
    std::sort(order.begin(), order.end());
    const auto list = best_items(trie, leaves, k);
    REQUIRE(static_cast<Index>(list.size()) == k);
    for (std::size_t i = 0; i < list.size(); ++i) { REQUIRE(list[i] == order[i].second); }
    for (std::size_t i = 0; i < order.size(); ++i) {
      REQUIRE(exact_rank(trie, leaves, order[i].second) == static_cast<double>(i + 1));
    }
  }
}

TEST_CASE(
    "Two equal pairs: independence misses log 2, leaks half, and ties the false with the true") {
  const Trie all(every_tuple(2, 2));
  constexpr double none = -std::numeric_limits<double>::infinity();
  const double half = std::log(0.5);
  const std::vector<double> p{half, none, none, half};
  const auto marginals = digit_marginals(all, p);
  for (const double value : marginals) { CHECK(value == doctest::Approx(half)); }
  const auto bias = independence_bias(all, p, marginals, 1);
  CHECK(bias.entropy == doctest::Approx(std::log(2.0)));
  CHECK(bias.total_correlation == doctest::Approx(std::log(2.0)));
  CHECK(bias.kl == doctest::Approx(std::log(2.0)));
  CHECK(bias.valid_mass == doctest::Approx(1));
  CHECK(std::isnan(bias.rank_correlation));  // all four are alike to it
  const Trie valid(some_tuples({0, 3}, 2));
  const auto restricted = independence_bias(valid, std::vector<double>{half, half}, marginals, 1);
  CHECK(restricted.valid_mass == doctest::Approx(0.5));
  CHECK(std::abs(restricted.kl_restricted) < 1e-12);
  CHECK(restricted.kl == doctest::Approx(std::log(2.0)));
  for (const double broken : {std::nan(""), -none}) {  // an error, and no endless search for ties
    auto digits = marginals;
    digits[1] = broken;
    CHECK_THROWS_WITH_AS(independence_bias(valid, std::vector<double>{half, half}, digits, 1),
                         "a log-probability of a digit is no number", simgr::DataError);
  }
  const IndependenceBias users[2] = {bias, restricted};
  const auto both = mean(users);
  CHECK(both.valid_mass == doctest::Approx(0.75));
  CHECK(std::isnan(both.rank_correlation));
  CHECK(std::isnan(mean(std::span<const IndependenceBias>{}).kl));
}

TEST_CASE("The gap of any independent model is the total correlation and the gaps of its digits") {
  for (std::uint64_t round = 0; round < 200; ++round) {
    Rng rng(35, round);
    const Index digits = 1 + rng.below(3), codes = 2 + rng.below(3);
    const Trie trie(every_tuple(digits, codes));
    const auto p = random_logs(rng, trie.items(), 2);
    const auto q = random_digits(rng, trie), marginals = digit_marginals(trie, p);
    const auto bias = independence_bias(trie, p, q, 3);
    CHECK(bias.total_correlation > -1e-12);
    CHECK(bias.valid_mass == doctest::Approx(1).epsilon(1e-12));
    CHECK(std::abs(bias.kl - bias.total_correlation - divergence(marginals, q)) < 1e-11);
    const auto at_best = independence_bias(trie, p, marginals, 3);
    CHECK(std::abs(at_best.kl - bias.total_correlation) < 1e-11);
    CHECK(bias.kl >= at_best.kl - 1e-12);
    const auto product = independent_logs(trie, q);  // digits that are independent
    CHECK(std::abs(total_correlation(trie, product)) < 1e-11);
    CHECK(divergence(product, product) == 0);
  }
}

TEST_CASE("Rank correlation is that of mean places") {
  const std::vector<double> up{1, 2, 3, 4}, down{9, 7, 5, 1}, tied{1, 1, 2, 2};
  CHECK(rank_correlation(up, up) == doctest::Approx(1));
  CHECK(rank_correlation(up, down) == doctest::Approx(-1));
  CHECK(tied_places(tied) == std::vector<double>{3.5, 3.5, 1.5, 1.5});
  CHECK(rank_correlation(up, tied) == doctest::Approx(2 / std::sqrt(5.0)));
  CHECK(std::isnan(rank_correlation(up, std::vector<double>(4, 1.0))));
  CHECK(std::isnan(rank_correlation(up, std::vector<double>{1, std::nan(""), 3, 4})));
}

TEST_CASE("Bands compare what is listed with what is chosen, head first") {
  const std::vector<Index> popularity{1, 9, 5, 5}, listed{0, 6, 2, 0}, chosen{4, 2, 1, 1};
  const auto bands = frequency_bands(popularity, listed, chosen, 2);
  REQUIRE(bands.size() == 2);
  CHECK(bands[0].items == 2);  // items 1 and 2: of the tie, the lower id
  CHECK(bands[0].listed == 1);
  CHECK(bands[0].chosen == doctest::Approx(3.0 / 8));
  CHECK(bands[1].listed == 0);
  CHECK(chosen_but_never_listed(listed, chosen) == doctest::Approx(5.0 / 8));
  CHECK_THROWS_AS(frequency_bands(popularity, listed, std::vector<Index>{1}, 2), simgr::ShapeError);
  CHECK_THROWS_AS(frequency_bands(popularity, listed, chosen, 5), simgr::ConfigError);
  const std::vector<Index> none(4, 0);
  CHECK(std::isnan(frequency_bands(popularity, none, chosen, 1)[0].listed));
  CHECK(std::isnan(chosen_but_never_listed(none, none)));
}

TEST_CASE("In the synthetic catalogue a beam's mass is that of enumeration") {
  const auto world = simgr::data::synthetic_catalogue({.users = 60});
  const Trie trie(world.ids);
  const auto codes = world.ids.codes.view();
  for (Index user = 0; user < 60; ++user) {
    const auto p = world.next_item(user, world.interactions.histories[user]);
    std::vector<double> logs;
    for (const double share : p) { logs.push_back(std::log(share)); }
    const PrefixLogs prefixes = prefix_logs(trie, leaf_logs(trie, logs));
    for (const Index width : {Index{1}, Index{3}, Index{10}, Index{50}}) {
      // Enumeration: of each depth, all prefixes by the sum of their items; an item is reached if
      // all its prefixes are among the `width` best of those whose own prefix was.
      std::vector<char> alive(p.size(), 1);
      for (Index depth = 1; depth <= 3; ++depth) {
        std::vector<std::pair<double, ItemId>> order;  // a prefix by its first item
        std::vector<ItemId> first(p.size(), -1);
        for (std::size_t i = 0; i < p.size(); ++i) {
          for (std::size_t j = 0; j <= i && alive[i] != 0 && first[i] < 0; ++j) {
            bool same = alive[j] != 0;
            for (Index l = 0; l < depth; ++l) {
              same = same && codes(static_cast<Index>(i), l) == codes(static_cast<Index>(j), l);
            }
            first[i] = same ? static_cast<ItemId>(j) : -1;
          }
        }
        for (std::size_t i = 0; i < p.size(); ++i) {
          if (first[i] == static_cast<ItemId>(i)) {
            double sum = 0;
            for (std::size_t j = 0; j < p.size(); ++j) { sum += first[j] == first[i] ? p[j] : 0; }
            order.emplace_back(-sum, first[i]);
          }
        }
        std::sort(order.begin(), order.end());
        order.resize(std::min(order.size(), static_cast<std::size_t>(width)));
        for (std::size_t i = 0; i < p.size(); ++i) {
          alive[i] = std::any_of(order.begin(), order.end(),
                                 [&](const auto& prefix) {
                                   return alive[i] != 0 && prefix.second == first[i];
                                 })
                         ? 1
                         : 0;
        }
      }
      double mass = 0;
      for (std::size_t i = 0; i < p.size(); ++i) { mass += alive[i] != 0 ? p[i] : 0; }
      const BeamTrace trace = beam_through(trie, prefixes, width);
      CHECK(std::abs(captured(prefixes.leaves(), trace.leaves()).mass - mass) < 1e-6);
    }
  }
}

TEST_CASE("In the synthetic catalogue marginals leave the total correlation, by any of two ways") {
  const auto world = simgr::data::synthetic_catalogue({.users = 40});
  const Trie trie(world.ids);
  double sum = 0, kl = 0, entropies = 0;
  for (Index user = 0; user < 40; ++user) {
    std::vector<double> logs;
    for (const double share : world.next_item(user, world.interactions.histories[user])) {
      logs.push_back(std::log(share));
    }
    const auto leaves = leaf_logs(trie, logs);
    const auto bias = independence_bias(trie, leaves, digit_marginals(trie, leaves), 10);
    sum += bias.total_correlation / 40;
    kl += bias.kl / 40;
    entropies += bias.entropy / 40;
    CHECK(std::abs(bias.kl - bias.total_correlation) < 1e-9);
    CHECK(bias.valid_mass < 1);
    // Category and style alone have less to say to each other than all three digits.
    const auto p = world.next_item(user, world.interactions.histories[user]);
    CHECK(bias.total_correlation >= simgr::data::total_correlation(p, world.ids, 0, 1) - 1e-9);
  }
  INFO("total correlation ", sum, ", entropy ", entropies);
  CHECK(sum > 0.5);
  CHECK(kl == doctest::Approx(sum).epsilon(1e-9));
}
