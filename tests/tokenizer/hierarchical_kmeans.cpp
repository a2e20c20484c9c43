// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/hierarchical_kmeans.hpp>

#include <set>

#include <doctest/doctest.h>

#include <simgr/tokenizer/atomic_ids.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

simgr::OwnedMatrix<float> normal_rows(Index rows, Index width, std::uint64_t seed) {
  simgr::OwnedMatrix<float> x(rows, width);
  simgr::Rng rng(seed);
  for (float& value : x.values) { value = static_cast<float>(rng.normal()); }
  return x;
}

}  // namespace

TEST_CASE("a tree finds clusters inside clusters") {
  // Three far groups of two near ones each, 40 items a leaf.
  simgr::OwnedMatrix<float> x(240, 3);
  simgr::Rng rng(1);
  for (Index item = 0; item < 240; ++item) {
    const Index group = item % 3, side = item / 3 % 2;
    x.view()(item, 0) = static_cast<float>(100 * static_cast<double>(group) + 0.1 * rng.normal());
    x.view()(item, 1) = static_cast<float>(5 * static_cast<double>(side) + 0.1 * rng.normal());
  }
  const auto found = fit_hierarchical_kmeans(x, {.levels = 2, .codes = 3});
  std::set<std::int32_t> roots;
  for (Index item = 0; item < 240; ++item) {
    const auto codes = found.ids.codes.view();
    roots.insert(codes(item, 0));
    for (Index other = 0; other < 240; ++other) {
      REQUIRE((codes(item, 0) == codes(other, 0)) == (item % 3 == other % 3));
      if (item % 3 == other % 3 && item / 3 % 2 != other / 3 % 2) {
        REQUIRE(codes(item, 1) != codes(other, 1));
      }
    }
  }
  CHECK(roots.size() == 3);
}

TEST_CASE("the tree encodes the vectors it was made from to the same codes") {
  const auto x = normal_rows(900, 6, 2);
  const auto found = fit_hierarchical_kmeans(x, {.levels = 3, .codes = 8});
  CHECK(found.quantizer.encode(x).values == found.ids.codes.values);
  CHECK(found.quantizer.codes_per_level() == found.ids.codes_per_digit);
  const CollisionReport report = collision_report(found.ids);
  CHECK(report.digits[0].prefixes == 8);
  CHECK(report.digits[1].prefixes == 64);
  CHECK(report.digits[2].prefixes > 300);
  const auto once_more = fit_hierarchical_kmeans(x, {.levels = 3, .codes = 8});
  CHECK(once_more.ids.codes.values == found.ids.codes.values);
}

TEST_CASE("deep trees end in leaves of one item, and items move to free leaves") {
  auto x = normal_rows(200, 4, 3);
  for (const Index copy : {7, 8, 9}) {
    std::copy_n(x.values.begin() + 20, 4, x.values.begin() + copy * 4);
  }
  const auto found = fit_hierarchical_kmeans(x, {.levels = 6, .codes = 4});
  CHECK(collision_report(found.ids).distinct == 197);
  for (const Collision collision : {Collision::nearest_free, Collision::sinkhorn}) {
    const auto moved = resolve_collisions(found.quantizer, x, found.ids, collision);
    CHECK(collision_report(moved).distinct == 200);
    Index changed = 0;
    for (Index item = 0; item < 200; ++item) {
      const auto before = found.ids.codes.view().row(item), after = moved.codes.view().row(item);
      changed += std::equal(before.begin(), before.end(), after.begin()) ? 0 : 1;
    }
    CHECK(changed == 3);
  }
  // A tree without room above its leaves.
  const auto full = fit_hierarchical_kmeans(normal_rows(16, 2, 4), {.levels = 2, .codes = 4});
  CHECK(collision_report(resolve_collisions(full.quantizer, normal_rows(16, 2, 4), full.ids,
                                            Collision::nearest_free))
            .distinct == 16);
}

TEST_CASE("hierarchical k-means refuses what it cannot cluster") {
  CHECK_THROWS_AS(fit_hierarchical_kmeans(normal_rows(4, 2, 5), {.levels = 0}), simgr::ConfigError);
  CHECK_THROWS_AS(fit_hierarchical_kmeans(simgr::OwnedMatrix<float>(0, 2)), simgr::DataError);
  const auto one = fit_hierarchical_kmeans(normal_rows(1, 2, 5));
  CHECK(one.ids.codes.values == std::vector<std::int32_t>(4, 0));
  CHECK_THROWS_AS(one.quantizer.encode(normal_rows(2, 3, 6)), simgr::ShapeError);
}

TEST_CASE("atomic ids are one digit with a code an item") {
  const auto ids = atomic_ids(5);
  CHECK(ids.codes_per_digit == std::vector<Index>{5});
  CHECK(collision_report(ids).distinct == 5);
  CHECK(simgr::out_of_proportion(atomic_ids(100000)).empty());
}
