// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/float_formats.hpp>

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

TEST_CASE("half precision converts exactly, all 65536 of them") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = simgr::float_from_f16(static_cast<std::uint16_t>(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31),
              fraction = static_cast<int>(bits & 1023);
    double expected =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    expected = (bits & 0x8000) != 0 ? -expected : expected;
    const bool same = exponent < 31 ? static_cast<double>(value) == expected &&
                                          std::signbit(value) == ((bits & 0x8000) != 0)
                      : fraction == 0 ? std::isinf(value)
                                      : std::isnan(value);
    REQUIRE(same);
  }
}

TEST_CASE("every half survives the way to float and back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float wide = simgr::float_from_f16(half);
    const std::uint16_t back = simgr::f16_from_float(wide);
    if (std::isnan(wide)) {
      CHECK(std::isnan(simgr::float_from_f16(back)));
    } else if (back != half) {
      FAIL("half ", bits, " came back as ", back);
    }
  }
  CHECK(simgr::float_from_f16(0x3555) == 0.333251953125f);
  CHECK(simgr::float_from_f16(0x0001) == 5.9604644775390625e-08f);
}

TEST_CASE("every bfloat16 survives the way to float and back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float wide = simgr::float_from_bf16(half);
    const std::uint16_t back = simgr::bf16_from_float(wide);
    if (std::isnan(wide)) {
      CHECK(std::isnan(simgr::float_from_bf16(back)));
    } else if (back != half) {
      FAIL("bfloat16 ", bits, " came back as ", back);
    }
  }
}

TEST_CASE("rounding to 16 bits goes to the nearest, ties to even, and overflows to infinity") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(simgr::f16_from_float(1.0f + 0x1p-11f) == 0x3c00);             // tie, down to even
  CHECK(simgr::f16_from_float(1.0f + 0x1.8p-10f) == 0x3c02);           // tie, up to even
  CHECK(simgr::f16_from_float(1.0f + 0x1p-11f + 0x1p-20f) == 0x3c01);  // above the tie
  CHECK(simgr::f16_from_float(65519.0f) == 0x7bff);
  CHECK(simgr::f16_from_float(65520.0f) == 0x7c00);
  CHECK(simgr::f16_from_float(-inf) == 0xfc00);
  CHECK(simgr::f16_from_float(0x1p-25f) == 0);  // half of the smallest: tie to even
  CHECK(simgr::f16_from_float(0x1.8p-25f) == 1);
  CHECK(simgr::bf16_from_float(1.0f + 0x1p-8f) == 0x3f80);
  CHECK(simgr::bf16_from_float(1.0f + 0x1.8p-7f) == 0x3f82);
  CHECK(simgr::bf16_from_float(std::numeric_limits<float>::max()) == 0x7f80);
}

TEST_CASE("doubles beyond float become infinity, those that round to the largest do not") {
  constexpr float inf = std::numeric_limits<float>::infinity(),
                  largest = std::numeric_limits<float>::max();
  CHECK(simgr::float_from_double(0.1) == 0.1f);
  CHECK(simgr::float_from_double(1e-300) == 0.0f);
  CHECK(simgr::float_from_double(double{largest}) == largest);
  CHECK(simgr::float_from_double(0x1.fffffefp127) == largest);
  CHECK(simgr::float_from_double(-0x1.fffffefp127) == -largest);
  CHECK(simgr::float_from_double(0x1.ffffffp127) == inf);  // tie, up to even
  CHECK(simgr::float_from_double(1e300) == inf);
  CHECK(simgr::float_from_double(-1e39) == -inf);
  CHECK(simgr::float_from_double(-std::numeric_limits<double>::infinity()) == -inf);
  CHECK(std::isnan(simgr::float_from_double(std::nan(""))));
}
