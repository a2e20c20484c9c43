// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/synthetic_catalogue.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/data/split.hpp>

using simgr::Index;
using simgr::ItemId;

TEST_CASE("the default world is the same on every machine") {
  const auto world = simgr::data::synthetic_catalogue();
  const auto counts = simgr::data::count(world.interactions);
  CHECK(counts.users == 2000);
  CHECK(counts.items == 600);
  CHECK(counts.shortest == 5);
  CHECK(counts.longest <= 40);
  CHECK(counts.mean_length > 9);
  CHECK(counts.mean_length < 11);
  CHECK(counts.items_seen > 540);
  CHECK(simgr::data::fingerprint(world.interactions) == "756182f3e9537575");
  CHECK(simgr::data::fingerprint(simgr::data::synthetic_catalogue({.seed = 2}).interactions) !=
        simgr::data::fingerprint(world.interactions));
}

TEST_CASE("category and style of the next item depend on each other by half a nat and more") {
  const auto world = simgr::data::synthetic_catalogue();
  const double planted = world.planted_total_correlation();
  MESSAGE("planted total correlation: " << planted << " nat");
  CHECK(planted >= 0.5);
}

TEST_CASE("the planted distribution is one, and knows what the user has") {
  const auto world = simgr::data::synthetic_catalogue({.users = 50});
  for (Index user = 0; user < 50; ++user) {
    const auto history = world.interactions.histories[user];
    const auto next = world.next_item(user, history);
    double sum = 0;
    for (const double p : next) {
      CHECK(p >= 0);
      sum += p;
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-12));
    for (const ItemId item : history) { CHECK(next[static_cast<std::size_t>(item)] == 0); }
    CHECK(std::set<ItemId>(history.begin(), history.end()).size() == history.size());
  }
}

TEST_CASE("histories follow the planted distribution") {
  // Mean log-likelihood of what happened against its expectation, the entropy, over all positions.
  const auto world = simgr::data::synthetic_catalogue({.users = 1000});
  double surprise = 0, entropy = 0, variance = 0;
  for (Index user = 0; user < 1000; ++user) {
    const auto history = world.interactions.histories[user];
    for (std::size_t i = 0; i < history.size(); ++i) {
      const auto next = world.next_item(user, history.first(i));
      double h = 0, square = 0;
      for (const double p : next) {
        h -= p > 0 ? p * std::log(p) : 0;
        square += p > 0 ? p * std::log(p) * std::log(p) : 0;
      }
      surprise -= std::log(next[static_cast<std::size_t>(history[i])]);
      entropy += h;
      variance += square - h * h;
    }
  }
  CHECK(std::abs(surprise - entropy) < 4 * std::sqrt(variance));
}

TEST_CASE("total correlation is log 2 for two equal pairs and zero for independent digits") {
  simgr::SemanticIds ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(4, 2);
  ids.codes.values = {0, 0, 0, 1, 1, 0, 1, 1};
  ids.codes_per_digit = {2, 2};
  const std::vector<double> dependent = {0.5, 0, 0, 0.5}, apart = {0.12, 0.28, 0.18, 0.42};
  CHECK(simgr::data::total_correlation(dependent, ids, 0, 1) ==
        doctest::Approx(std::log(2.0)).epsilon(1e-12));
  CHECK(std::abs(simgr::data::total_correlation(apart, ids, 0, 1)) < 1e-12);
}

TEST_CASE("semantic ids are unique, texts are there, popularity has a long tail") {
  const auto world = simgr::data::synthetic_catalogue();
  std::set<std::string> texts;
  std::set<std::vector<int>> ids;
  const auto codes = world.ids.codes.view();
  for (Index item = 0; item < 600; ++item) {
    texts.insert(simgr::data::item_text(world.items[static_cast<std::size_t>(item)]));
    ids.insert({codes(item, 0), codes(item, 1), codes(item, 2)});
    for (Index digit = 0; digit < 3; ++digit) {
      CHECK(codes(item, digit) < world.ids.codes_per_digit[static_cast<std::size_t>(digit)]);
    }
  }
  CHECK(texts.size() == 600);
  CHECK(ids.size() == 600);
  auto counts = simgr::data::popularity(world.interactions.histories, 600);
  std::sort(counts.rbegin(), counts.rend());
  Index head = 0, all = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    head += i < 120 ? counts[i] : 0;
    all += counts[i];
  }
  CHECK(static_cast<double>(head) > 0.5 * static_cast<double>(all));
  const auto split = simgr::data::leave_one_out(world.interactions);
  CHECK(split.too_short == 0);
  CHECK(simgr::data::leakage(split, world.interactions).sound());
}

TEST_CASE("a world that cannot be is refused") {
  CHECK_FALSE(simgr::data::try_synthetic_catalogue({.items = 60}).ok());
  CHECK_FALSE(simgr::data::try_synthetic_catalogue({.categories = 2}).ok());
  CHECK_FALSE(simgr::data::try_synthetic_catalogue({.noise = -0.1}).ok());
  CHECK_THROWS_AS(simgr::data::synthetic_catalogue({.users = 0}), simgr::ConfigError);
}

TEST_CASE("a user who has all items of a persona goes on by popularity") {
  for (const double stay : {0.0, 0.5, 1.0}) {
    for (const double series : {0.0, 1.0}) {
      const auto world = simgr::data::synthetic_catalogue({.users = 50,
                                                           .items = 400,
                                                           .mean_length = 50,
                                                           .noise = 0,
                                                           .stay = stay,
                                                           .series = series});
      for (Index user = 0; user < 50; ++user) {
        const auto history = world.interactions.histories[user];
        REQUIRE(std::set<ItemId>(history.begin(), history.end()).size() == history.size());
        const auto next = world.next_item(user, history);
        REQUIRE(std::accumulate(next.begin(), next.end(), 0.0) == doctest::Approx(1));
        for (const ItemId item : history) { REQUIRE(next[static_cast<std::size_t>(item)] == 0); }
      }
    }
  }
}
