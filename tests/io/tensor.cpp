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
  CHECK_FALSE(simgr::io::convert(view_of<double>({1e300, -1e300}), floats.data()));
  CHECK(floats == std::vector<float>{std::numeric_limits<float>::infinity(),
                                     -std::numeric_limits<float>::infinity()});
  CHECK(simgr::io::convert(half, narrow.data()));
}
