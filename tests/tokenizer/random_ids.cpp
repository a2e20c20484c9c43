// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/random_ids.hpp>

#include <doctest/doctest.h>

using namespace simgr::tokenizer;

TEST_CASE("random ids use all codes evenly and are told apart by the last digit") {
  const simgr::SemanticIds ids = random_ids(5000, {.levels = 2, .codes = 32, .seed = 3});
  const CollisionReport report = collision_report(ids);
  CHECK(ids.digits() == 3);
  CHECK(report.distinct == 5000);
  for (int digit = 0; digit < 2; ++digit) {
    CHECK(report.digits[static_cast<std::size_t>(digit)].used == 32);
    CHECK(report.digits[static_cast<std::size_t>(digit)].perplexity > 31.5);
  }
}

TEST_CASE("the random id of an item does not depend on the number of items") {
  const RandomIdsConfig keep{.levels = 3, .codes = 7, .collision = Collision::keep};
  const auto few = random_ids(10, keep), many = random_ids(20, keep);
  CHECK(std::equal(few.codes.values.begin(), few.codes.values.end(), many.codes.values.begin()));
  CHECK(random_ids(10, {.levels = 3, .codes = 7, .seed = 2, .collision = Collision::keep})
            .codes.values != few.codes.values);
}

TEST_CASE("random ids refuse settings without meaning") {
  CHECK_THROWS_AS(random_ids(4, {.codes = 0}), simgr::ConfigError);
  CHECK_THROWS_AS(random_ids(4, {.collision = Collision::nearest_free}), simgr::ConfigError);
}
