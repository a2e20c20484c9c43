// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/resolve_collisions.hpp>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

using simgr::Index;
using simgr::SemanticIds;
using namespace simgr::tokenizer;

namespace {

struct Crowd {
  simgr::OwnedMatrix<float> vectors;
  ResidualKMeans found;
};

/// More items than codes are comfortable with, and three of one vector.
Crowd crowd() {
  Crowd made;
  made.vectors = simgr::OwnedMatrix<float>(400, 5);
  simgr::Rng rng(3);
  for (float& value : made.vectors.values) { value = static_cast<float>(rng.normal()); }
  for (const Index copy : {90, 391}) {
    std::copy_n(made.vectors.values.begin() + 50, 5, made.vectors.values.begin() + copy * 5);
  }
  made.found = fit_residual_kmeans(made.vectors, {.levels = 2, .codes = 40});
  return made;
}

SemanticIds resolved(const Crowd& made, Collision collision) {
  return resolve_collisions(made.found.quantizer, made.vectors, made.found.ids, collision);
}

}  // namespace

TEST_CASE("every treatment but keep gives each item an id of its own") {
  const Crowd made = crowd();
  REQUIRE(collision_report(made.found.ids).distinct < 390);
  CHECK(resolved(made, Collision::keep).codes.values == made.found.ids.codes.values);
  for (const Collision collision : {Collision::digit, Collision::digit_if_shared,
                                    Collision::sinkhorn, Collision::nearest_free}) {
    CAPTURE(static_cast<int>(collision));
    const SemanticIds ids = resolved(made, collision);
    CHECK(collision_report(ids).distinct == 400);
    const bool longer = collision == Collision::digit || collision == Collision::digit_if_shared;
    CHECK(ids.digits() == (longer ? 3 : 2));
    for (Index item = 0; item < 400; ++item) {
      REQUIRE(ids.codes.view()(item, 0) == made.found.ids.codes.view()(item, 0));
    }
  }
}

TEST_CASE("a digit only where it is needed: 0 says that there is none") {
  const Crowd made = crowd();
  const SemanticIds ids = resolved(made, Collision::digit_if_shared);
  const IdGroups groups = group_ids(made.found.ids.codes);
  for (Index g = 0; g < groups.groups(); ++g) {
    std::int32_t place = groups.group(g).size() > 1 ? 1 : 0;
    for (const simgr::ItemId item : groups.group(g)) {
      CHECK(ids.codes.view()(item, 2) == place++);
    }
  }
  CHECK(ids.codes_per_digit[2] == collision_report(made.found.ids).largest_group + 1);
}

TEST_CASE("Sinkhorn parts what it can, touches last codes alone, and leaves equal vectors") {
  const Crowd made = crowd();
  const SemanticIds spread = spread_groups(made.found.quantizer, made.vectors, made.found.ids);
  const CollisionReport before = collision_report(made.found.ids), after = collision_report(spread);
  CHECK(after.collision_rate < 0.75 * before.collision_rate);
  const auto codes = spread.codes.view();
  CHECK(codes(10, 1) == codes(90, 1));
  CHECK(codes(10, 1) == codes(391, 1));
  const IdGroups groups = group_ids(made.found.ids.codes);
  for (Index g = 0; g < groups.groups(); ++g) {
    if (groups.group(g).size() == 1) {
      const simgr::ItemId item = groups.group(g)[0];
      // Alone at the beginning; others may have come.
      CHECK(codes(item, 0) == made.found.ids.codes.view()(item, 0));
    }
  }
}

TEST_CASE("ids without codebooks cannot move") {
  const Crowd made = crowd();
  CHECK(resolve_collisions(made.found.ids, Collision::digit).digits() == 3);
  CHECK_THROWS_AS(resolve_collisions(made.found.ids, Collision::sinkhorn), simgr::ConfigError);
  CHECK_THROWS_AS(resolve_collisions(made.found.ids, Collision::nearest_free), simgr::ConfigError);
}
