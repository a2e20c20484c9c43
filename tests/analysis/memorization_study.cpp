// SPDX-License-Identifier: Apache-2.0
#include <simgr/analysis/memorization_study.hpp>

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>
#include <simgr/baselines/popularity.hpp>
#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/eval/model.hpp>

using namespace simgr;

TEST_CASE("A study says of systems what its parts say, a popular model among them") {
  const auto world = data::synthetic_catalogue({.users = 200});
  const auto split = data::leave_one_out(world.interactions);
  const auto& [inputs, targets, users] = split.test;
  analysis::MemorizationStudy study(split, {.candidates = {.most = 20}, .k = 4, .hops = 3});
  const auto transitions = analysis::count_transitions(split.train, split.items);
  const auto candidates = analysis::candidate_sets(transitions, inputs, {.most = 20});
  CHECK(study.users() == static_cast<Index>(targets.size()));
  CHECK(study.distinct_transitions() == transitions.distinct());
  CHECK(study.candidates().values == candidates.values);
  CHECK(study.mean_candidates() == doctest::Approx(static_cast<double>(candidates.tokens()) /
                                                   static_cast<double>(study.users())));
  CHECK(study.group_m() == std::count(study.covered().begin(), study.covered().end(), 1));
  CHECK(study.group_m() > 0);
  CHECK(study.target_labels().items == study.users());

  CHECK_THROWS_AS(analysis::MemorizationStudy(split, {.k = 0}), ConfigError);

  // The same lists by name and by the model that they are of, in parts and one by one.
  baselines::Popularity popular({.items = split.items});
  popular.fit(split);
  const auto served = eval::served_lists(popular, split.test, 4);
  CHECK(served.values == study.popular().values);
  CHECK(served.offsets == study.popular().offsets);

  const auto system = study.measure(study.candidates());
  REQUIRE(system.ratio_at.size() == 3);
  CHECK(system.ratio_at.front() == system.found.ratio);
  CHECK(system.found.k == 4);
  CHECK(system.found.n.hits == 0);
  const auto wider = analysis::candidate_sets(
      analysis::count_transitions(split.train, split.items, 3), inputs, {.most = 20});
  CHECK(
      system.ratio_at.back() ==
      analysis::measure_memorization(study.candidates(), targets, wider, study.covered(), 4).ratio);
  CHECK(system.labels.items <= 4 * study.users());
  CHECK(system.labels.memorization > 0);
}
