// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/rng.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::Rng;

TEST_CASE("Philox gives the known answers of its authors") {
  using Words = std::array<std::uint32_t, 4>;
  CHECK(simgr::philox({0, 0, 0, 0}, 0) ==
        Words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(simgr::philox({0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}, ~std::uint64_t{0}) ==
        Words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(simgr::philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, 0x299f31d0a4093822u) ==
        Words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("draws can be made at compile time") {
  static_assert(simgr::philox({0, 0, 0, 0}, 0)[0] == 0x6627e8d5u);
  CHECK(Rng(0).bits() == ((std::uint64_t{0xe169c58du} << 32) | 0x6627e8d5u));
}

TEST_CASE("the position is all a checkpoint needs") {
  Rng rng(7, 3);
  for (int i = 0; i < 1000; ++i) { rng.bits(); }
  Rng resumed(7, 3, rng.position());
  for (int i = 0; i < 100; ++i) { CHECK(resumed.bits() == rng.bits()); }
}

TEST_CASE("seeds and streams are independent sequences") {
  Rng rng(7, 0), other_seed(8, 0), other_stream(7, 1), high_stream(7, std::uint64_t{1} << 32);
  int equal = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t bits = rng.bits();
    equal += bits == other_seed.bits();
    equal += bits == other_stream.bits();
    equal += bits == high_stream.bits();
  }
  CHECK(equal == 0);
}

TEST_CASE("uniform stays below one and has the mean and variance of the interval") {
  Rng rng(11);
  double sum = 0, squares = 0;
  const int count = 100'000;
  for (int i = 0; i < count; ++i) {
    const double draw = rng.uniform();
    REQUIRE(draw >= 0.0);
    REQUIRE(draw < 1.0);
    sum += draw;
    squares += draw * draw;
  }
  const double mean = sum / count;
  CHECK(mean == doctest::Approx(0.5).epsilon(0.01));
  CHECK(squares / count - mean * mean == doctest::Approx(1.0 / 12).epsilon(0.01));
}

TEST_CASE("normal has the first four moments of the normal distribution") {
  Rng rng(12);
  double moments[5] = {};
  const int count = 200'000;
  for (int i = 0; i < count; ++i) {
    const double draw = rng.normal();
    REQUIRE(std::isfinite(draw));
    double power = 1;
    for (double& moment : moments) {
      moment += power / count;
      power *= draw;
    }
  }
  CHECK(std::abs(moments[1]) < 0.01);
  CHECK(moments[2] == doctest::Approx(1).epsilon(0.02));
  CHECK(std::abs(moments[3]) < 0.03);
  CHECK(moments[4] == doctest::Approx(3).epsilon(0.05));
}

TEST_CASE("below draws every value with equal frequency") {
  Rng rng(13);
  std::vector<int> counts(7);
  for (int i = 0; i < 70'000; ++i) {
    const Index draw = rng.below(7);
    REQUIRE(draw >= 0);
    REQUIRE(draw < 7);
    ++counts[static_cast<std::size_t>(draw)];
  }
  double chi_square = 0;
  for (const int observed : counts) {
    chi_square += (observed - 10'000.0) * (observed - 10'000.0) / 10'000.0;
  }
  CHECK(chi_square < 22.5);  // 6 degrees of freedom, 1 in 1000
}

TEST_CASE("below has no modulo bias where the range is a large part of the word") {
  // A plain remainder of 64 bits would draw the first third 1.2 times as often.
  const Index range = Index{3} << 60;
  Rng rng(14);
  int low = 0;
  const int count = 30'000;
  for (int i = 0; i < count; ++i) { low += rng.below(range) < range / 3; }
  CHECK(std::abs(low - count / 3) < 400);  // five deviations
}

TEST_CASE("below of one is zero") {
  Rng rng(15);
  for (int i = 0; i < 10; ++i) { CHECK(rng.below(1) == 0); }
}

TEST_CASE("shuffle permutes, and every permutation of three is equally likely") {
  Rng rng(16);
  std::vector<int> counts(6);
  for (int i = 0; i < 60'000; ++i) {
    std::array<int, 3> values{0, 1, 2};
    rng.shuffle(std::span<int>(values));
    std::array<int, 3> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    REQUIRE(sorted == std::array<int, 3>{0, 1, 2});
    ++counts[static_cast<std::size_t>(values[0] * 2 + (values[1] > values[2]))];
  }
  for (const int observed : counts) { CHECK(std::abs(observed - 10'000) < 500); }
}

TEST_CASE("shuffling nothing or one value draws nothing") {
  Rng rng(17);
  std::vector<int> none, one{4};
  rng.shuffle(std::span<int>(none));
  rng.shuffle(std::span<int>(one));
  CHECK(rng.position() == 0);
}
