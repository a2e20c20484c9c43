// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/ragged.hpp>

#include <vector>

#include <doctest/doctest.h>

#include <support/allocations.hpp>

using simgr::Ragged;
using simgr::RaggedView;

namespace {

Ragged<int> three_sequences() {
  Ragged<int> ragged;
  ragged.push_back(std::vector<int>{7, 8, 9});
  ragged.push_back(std::vector<int>{});
  ragged.push_back(std::vector<int>{5});
  return ragged;
}

std::vector<int> copy(std::span<const int> values) {
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("sequences of unequal length stand one after another") {
  const Ragged<int> ragged = three_sequences();
  CHECK(ragged.sequences() == 3);
  CHECK(ragged.tokens() == 4);
  CHECK(ragged.offsets == std::vector<simgr::Index>{0, 3, 3, 4});
  CHECK(copy(ragged[0]) == std::vector{7, 8, 9});
  CHECK(ragged[1].empty());
  CHECK(copy(ragged[2]) == std::vector{5});
}

TEST_CASE("an empty ragged has no sequences, owned, viewed or without offsets") {
  const Ragged<int> ragged;
  CHECK(ragged.sequences() == 0);
  CHECK(ragged.tokens() == 0);
  CHECK(ragged.view().sequences() == 0);
  CHECK(RaggedView<int>{}.sequences() == 0);
}

TEST_CASE("a view shares the memory of what it was taken from") {
  const Ragged<int> ragged = three_sequences();
  const RaggedView<int> view = ragged;
  CHECK(view.values.data() == ragged.values.data());
  CHECK(view.sequences() == 3);
  CHECK(view[0].data() == ragged.values.data());
}

TEST_CASE("a view may begin inside the values of a longer one") {
  const Ragged<int> ragged = three_sequences();
  const RaggedView<int> tail{ragged.values, simgr::Offsets(ragged.offsets).subspan(2)};
  CHECK(tail.sequences() == 1);
  CHECK(copy(tail[0]) == std::vector{5});
}

TEST_CASE("clear keeps the memory for the next batch") {
  Ragged<int> ragged = three_sequences();
  ragged.clear();
  CHECK(ragged.sequences() == 0);
  CHECK(ragged.tokens() == 0);
  const std::vector<int> sequence{1, 2, 3};
  const std::size_t before = simgr_test::allocations();
  ragged.push_back(sequence);
  CHECK(simgr_test::allocations() == before);
  CHECK(copy(ragged[0]) == sequence);
}
