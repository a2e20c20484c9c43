// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/tensor.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using simgr::io::Dtype;

namespace {

template <class T>
simgr::io::TensorView view_of(const std::vector<T>& values) {
  return {"x",
          simgr::io::dtype_of<T>(),
          {static_cast<simgr::Index>(values.size())},
          std::as_bytes(std::span<const T>(values))};
}

}  // namespace

TEST_CASE("the table of element types is in the order of the enumeration") {
  for (std::size_t i = 0; i < std::size(simgr::io::dtype_facts); ++i) {
    CHECK(static_cast<std::size_t>(simgr::io::dtype_facts[i].dtype) == i);
  }
  CHECK(simgr::io::name_of(Dtype::bf16) == "BF16");
  CHECK(simgr::io::bytes_of(Dtype::f64) == 8);
  CHECK(simgr::io::shape_text(std::vector<simgr::Index>{3, 4}) == "[3, 4]");
  CHECK(simgr::io::shape_text({}) == "[]");
}

TEST_CASE("every half survives the way to float and back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float wide = simgr::io::float_from_f16(half);
    const std::uint16_t back = simgr::io::f16_from_float(wide);
    if (std::isnan(wide)) {
      CHECK(std::isnan(simgr::io::float_from_f16(back)));
    } else if (back != half) {
      FAIL("half ", bits, " came back as ", back);
    }
  }
  CHECK(simgr::io::float_from_f16(0x3555) == 0.333251953125f);
  CHECK(simgr::io::float_from_f16(0x0001) == 5.9604644775390625e-08f);
}

TEST_CASE("every bfloat16 survives the way to float and back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float wide = simgr::io::float_from_bf16(half);
    const std::uint16_t back = simgr::io::bf16_from_float(wide);
    if (std::isnan(wide)) {
      CHECK(std::isnan(simgr::io::float_from_bf16(back)));
    } else if (back != half) {
      FAIL("bfloat16 ", bits, " came back as ", back);
    }
  }
}

TEST_CASE("rounding to 16 bits goes to the nearest, ties to even, and overflows to infinity") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(simgr::io::f16_from_float(1.0f + 0x1p-11f) == 0x3c00);             // tie, down to even
  CHECK(simgr::io::f16_from_float(1.0f + 0x1.8p-10f) == 0x3c02);           // tie, up to even
  CHECK(simgr::io::f16_from_float(1.0f + 0x1p-11f + 0x1p-20f) == 0x3c01);  // above the tie
  CHECK(simgr::io::f16_from_float(65519.0f) == 0x7bff);
  CHECK(simgr::io::f16_from_float(65520.0f) == 0x7c00);
  CHECK(simgr::io::f16_from_float(-inf) == 0xfc00);
  CHECK(simgr::io::f16_from_float(0x1p-25f) == 0);  // half of the smallest: tie to even
  CHECK(simgr::io::f16_from_float(0x1.8p-25f) == 1);
  CHECK(simgr::io::bf16_from_float(1.0f + 0x1p-8f) == 0x3f80);
  CHECK(simgr::io::bf16_from_float(1.0f + 0x1.8p-7f) == 0x3f82);
  CHECK(simgr::io::bf16_from_float(std::numeric_limits<float>::max()) == 0x7f80);
}

TEST_CASE("elements convert exactly or are refused with the tensor's name") {
  std::vector<double> wide(3);
  CHECK_FALSE(simgr::io::convert(view_of<std::int8_t>({-128, 0, 127}), wide.data()));
  CHECK(wide == std::vector<double>{-128, 0, 127});

  std::vector<std::int32_t> narrow(2);
  CHECK_FALSE(simgr::io::convert(view_of<std::int64_t>({-5, INT32_MAX}), narrow.data()));
  CHECK(narrow == std::vector<std::int32_t>{-5, INT32_MAX});
  const auto beyond = simgr::io::convert(view_of<std::int64_t>({0, std::int64_t{INT32_MAX} + 1}),
                                         narrow.data(), "file");
  REQUIRE(beyond);
  CHECK(std::string(beyond->what()) ==
        "file: x: an integer of the I64 tensor does not fit into I32");
  std::vector<std::uint64_t> large(1);
  CHECK(simgr::io::convert(view_of<std::int32_t>({-1}), large.data()));

  const auto fraction = simgr::io::convert(view_of<float>({1.0f, 2.0f}), narrow.data());
  REQUIRE(fraction);
  CHECK(std::string(fraction->what()) == "x: expected integers, found F32");
  const std::vector<std::uint16_t> halves{0x3c00, 0xc000};
  simgr::io::TensorView half{"h", Dtype::f16, {2}, std::as_bytes(std::span(halves))};
  std::vector<float> floats(2);
  CHECK_FALSE(simgr::io::convert(half, floats.data()));
  CHECK(floats == std::vector<float>{1.0f, -2.0f});
  CHECK(simgr::io::convert(half, narrow.data()));
}
