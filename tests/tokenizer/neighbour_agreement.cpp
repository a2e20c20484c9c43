// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/neighbour_agreement.hpp>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>
#include <simgr/tokenizer/random_ids.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

TEST_CASE("neighbours share the digits that say where they are") {
  // Four far clusters of 25; the second digit says nothing.
  simgr::OwnedMatrix<float> x(100, 6);
  simgr::Rng rng(4);
  simgr::SemanticIds ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(100, 2);
  ids.codes_per_digit = {4, 2};
  for (Index item = 0; item < 100; ++item) {
    for (Index k = 0; k < 6; ++k) {
      x.view()(item, k) = static_cast<float>((k == item % 4 ? 10 : 0) + 0.1 * rng.normal());
    }
    ids.codes.view()(item, 0) = static_cast<std::int32_t>(item % 4);
    ids.codes.view()(item, 1) = static_cast<std::int32_t>(rng.below(2));
  }
  const NeighbourAgreement found = neighbour_agreement(ids, x, 5, 40);
  CHECK(found.items == 40);
  CHECK(found.digit[0] == 1.0);
  CHECK(found.chance[0] == doctest::Approx(24.0 / 99));
  CHECK(found.prefix[0] == 1.0);
  CHECK(found.digit[1] == doctest::Approx(0.5).epsilon(0.2));
  CHECK(found.prefix[1] == found.digit[1]);
  CHECK(to_text(found).find("100.00 % (100.00 %; 24.24 %)") != std::string::npos);
}

TEST_CASE("agreement with lists of neighbours counts the pairs that there are") {
  simgr::SemanticIds ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(4, 2);
  ids.codes.values = {0, 0, 0, 1, 1, 0, 0, 0};
  ids.codes_per_digit = {2, 2};
  simgr::Ragged<simgr::ItemId> lists;
  for (const std::vector<simgr::ItemId>& list :
       std::vector<std::vector<simgr::ItemId>>{{1, 3, 2}, {}, {0}, {}}) {
    lists.push_back(list);
  }
  const NeighbourAgreement found = neighbour_agreement(ids, lists, 2);  // 0-1, 0-3, 2-0
  CHECK(found.items == 2);
  CHECK(found.neighbours == 2);
  CHECK(found.digit[0] == doctest::Approx(2.0 / 3));
  CHECK(found.digit[1] == doctest::Approx(2.0 / 3));
  CHECK(found.prefix[0] == doctest::Approx(2.0 / 3));
  CHECK(found.prefix[1] == doctest::Approx(1.0 / 3));
  CHECK(found.chance[0] == doctest::Approx(0.5));
}

TEST_CASE("agreement of semantic ids stands out, that of random ids is chance") {
  simgr::OwnedMatrix<float> x(600, 8);
  simgr::Rng rng(5);
  for (float& value : x.values) { value = static_cast<float>(rng.normal()); }
  const auto made = neighbour_agreement(
      residual_kmeans(x, {.levels = 2, .codes = 16, .collision = Collision::keep}), x);
  const auto drawn = neighbour_agreement(
      random_ids(600, {.levels = 2, .codes = 16, .collision = Collision::keep}), x);
  CHECK(made.digit[0] > 3 * made.chance[0]);
  CHECK(drawn.digit[0] == doctest::Approx(drawn.chance[0]).epsilon(0.15));
}

TEST_CASE("one item has no neighbour") {
  const auto found = neighbour_agreement(random_ids(1), simgr::OwnedMatrix<float>(1, 3));
  CHECK(found.neighbours == 0);
  CHECK(found.digit[0] == 0.0);
}
