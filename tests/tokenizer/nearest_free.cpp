// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/nearest_free.hpp>

#include <doctest/doctest.h>

#include <simgr/tokenizer/residual_quantizer.hpp>

using simgr::Index;
using simgr::SemanticIds;
using namespace simgr::tokenizer;

namespace {

/// Two levels on a line: centroids 0, 10, 20 and then 0, 1, 2, 3.
ResidualQuantizer ruler() {
  ResidualQuantizer quantizer;
  quantizer.codebooks.resize(2);
  quantizer.codebooks[0] = simgr::OwnedMatrix<float>(3, 1);
  quantizer.codebooks[0].values = {0, 10, 20};
  quantizer.codebooks[1] = simgr::OwnedMatrix<float>(4, 1);
  quantizer.codebooks[1].values = {0, 1, 2, 3};
  return quantizer;
}

SemanticIds encoded(const ResidualQuantizer& quantizer, const simgr::OwnedMatrix<float>& x) {
  SemanticIds ids;
  ids.codes = quantizer.encode(x);
  ids.codes_per_digit = quantizer.codes_per_level();
  return ids;
}

simgr::OwnedMatrix<float> column(std::vector<float> values) {
  simgr::OwnedMatrix<float> x(std::ssize(values), 1);
  x.values = std::move(values);
  return x;
}

}  // namespace

TEST_CASE("the closest item keeps a shared id and the others take the nearest free last code") {
  const ResidualQuantizer quantizer = ruler();
  // 10.1, 10.3 and 9.95 share (1, 0); 11 holds (1, 1), so the next ones up are 2 and 3.
  const auto x = column({10.1f, 11.0f, 10.3f, 9.95f});
  const SemanticIds ids = encoded(quantizer, x);
  REQUIRE(ids.codes.values == std::vector<std::int32_t>{1, 0, 1, 1, 1, 0, 1, 0});
  const SemanticIds moved = move_to_nearest_free(quantizer, x, ids);
  CHECK(moved.codes.values == std::vector<std::int32_t>{1, 2, 1, 1, 1, 3, 1, 0});
  CHECK(moved.codes_per_digit == ids.codes_per_digit);
}

TEST_CASE("a full prefix overflows into the second nearest code above") {
  const ResidualQuantizer quantizer = ruler();
  // Six equal vectors: four fill prefix 1, the fifth finds prefix 0 nearer to 9 than prefix 2.
  const auto x = column({9, 9, 9, 9, 9, 9});
  const SemanticIds moved = move_to_nearest_free(quantizer, x, encoded(quantizer, x));
  CHECK(moved.codes.values == std::vector<std::int32_t>{1, 0, 1, 1, 1, 2, 1, 3, 0, 3, 0, 2});
}

TEST_CASE("equal vectors fill every id, and one item more is an error") {
  const ResidualQuantizer quantizer = ruler();
  const auto full = column(std::vector<float>(12, 4.0f));
  const SemanticIds moved = move_to_nearest_free(quantizer, full, encoded(quantizer, full));
  CHECK(collision_report(moved).distinct == 12);
  const auto over = column(std::vector<float>(13, 4.0f));
  CHECK_THROWS_WITH_AS(move_to_nearest_free(quantizer, over, encoded(quantizer, over)),
                       "collision: 13 items do not fit into 12 ids; raise levels or codes",
                       simgr::ConfigError);
}

TEST_CASE("items without a collision stay where they are") {
  const ResidualQuantizer quantizer = ruler();
  const auto x = column({0, 1, 2, 3, 10, 11, 23});
  const SemanticIds ids = encoded(quantizer, x);
  CHECK(move_to_nearest_free(quantizer, x, ids).codes.values == ids.codes.values);
}
