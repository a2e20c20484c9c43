// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/collision.hpp>

#include <cmath>

#include <doctest/doctest.h>

using simgr::SemanticIds;
using namespace simgr::tokenizer;

namespace {

SemanticIds ids_of(std::vector<std::int32_t> codes, simgr::Index digits,
                   std::vector<simgr::Index> codes_per_digit) {
  SemanticIds ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(std::ssize(codes) / digits, digits);
  ids.codes.values = std::move(codes);
  ids.codes_per_digit = std::move(codes_per_digit);
  return ids;
}

}  // namespace

TEST_CASE("the report counts collisions, groups and usage") {
  const SemanticIds ids = ids_of({1, 0, 2, 2, 1, 0, 0, 3, 1, 0, 2, 2}, 2, {3, 4});
  const CollisionReport report = collision_report(ids);
  CHECK(report.items == 6);
  CHECK(report.distinct == 3);
  CHECK(report.collision_rate == doctest::Approx(0.5));
  CHECK(report.largest_group == 3);
  CHECK(report.items_in_groups == 5);
  CHECK(report.share_in_groups == doctest::Approx(5.0 / 6));
  REQUIRE(report.digits.size() == 2);
  const double entropy =
      -(3.0 / 6 * std::log(3.0 / 6) + 2.0 / 6 * std::log(2.0 / 6) + 1.0 / 6 * std::log(1.0 / 6));
  CHECK(report.digits[0].used == 3);
  CHECK(report.digits[0].entropy == doctest::Approx(entropy));
  CHECK(report.digits[0].perplexity == doctest::Approx(std::exp(entropy)));
  CHECK(report.digits[1].codes == 4);
  CHECK(report.digits[1].used == 3);
  CHECK(report.digits[0].prefixes == 3);
  CHECK(report.digits[0].prefix_perplexity == doctest::Approx(std::exp(entropy)));
  CHECK(report.digits[1].prefixes == 3);
  CHECK(to_text(report).find("6 items, 3 distinct ids: collision rate 50.00 %") == 0);
}

TEST_CASE("prefixes are counted level by level") {
  const CollisionReport report =
      collision_report(ids_of({0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1}, 3, {2, 2, 2}));
  CHECK(report.digits[0].prefixes == 2);
  CHECK(report.digits[1].prefixes == 3);
  CHECK(report.digits[2].prefixes == 4);
  CHECK(report.digits[2].prefix_perplexity == doctest::Approx(4));
}

TEST_CASE("a report of nothing is zeros") {
  const CollisionReport report = collision_report(SemanticIds{});
  CHECK(report.items == 0);
  CHECK(report.collision_rate == 0.0);
}

TEST_CASE("the disambiguation digit counts inside each group in the order of the items") {
  const SemanticIds ids = append_digit(ids_of({1, 0, 2, 2, 1, 0, 0, 3, 1, 0, 2, 2}, 2, {3, 4}));
  CHECK(ids.codes.values ==
        std::vector<std::int32_t>{1, 0, 0, 2, 2, 0, 1, 0, 1, 0, 3, 0, 1, 0, 2, 2, 2, 1});
  CHECK(ids.codes_per_digit == std::vector<simgr::Index>{3, 4, 3});
  CHECK(collision_report(ids).collision_rate == 0.0);
}

TEST_CASE("unique ids get a digit of one code") {
  const SemanticIds ids = append_digit(ids_of({0, 1, 2}, 1, {3}));
  CHECK(ids.codes_per_digit == std::vector<simgr::Index>{3, 1});
  CHECK(ids.codes.values == std::vector<std::int32_t>{0, 0, 1, 0, 2, 0});
}
