// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/clip.hpp>

#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

namespace {

simgr::ParameterTable two_tensors() {
  return simgr::lay_out({{"encoder.weight", {5, 3}, 0, 15, {}, simgr::Decay::yes},
                         {"encoder.bias", {3}, 0, 3, {}, simgr::Decay::no}});
}

}  // namespace

TEST_CASE("the norm is the root of the sum of squares, wherever the block lies") {
  simgr::Rng rng(7, 1);
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 1000u, 4096u}) {
    std::vector<float> memory(size + 16);
    std::vector<double> norms;
    std::vector<float> values(size);
    double sum = 0;
    for (float& value : values) {
      value = static_cast<float>(rng.normal());
      sum += static_cast<double>(value) * static_cast<double>(value);
    }
    for (std::size_t shift = 0; shift < 16; ++shift) {
      std::copy(values.begin(), values.end(), memory.begin() + static_cast<std::ptrdiff_t>(shift));
      norms.push_back(simgr::train::global_norm(std::span<float>(memory.data() + shift, size)));
    }
    CHECK(norms.front() == doctest::Approx(std::sqrt(sum)).epsilon(1e-12));
    for (const double norm : norms) { CHECK(norm == norms.front()); }
  }
}

TEST_CASE("clipping shortens a long block to the limit and leaves a short one alone") {
  std::vector<double> block{3, 0, 4, 0};
  CHECK(simgr::train::clip_norm(std::span<double>(block), 10) == 5);
  CHECK(block == std::vector<double>{3, 0, 4, 0});
  CHECK(simgr::train::clip_norm(std::span<double>(block), 1) == 5);
  CHECK(simgr::train::global_norm(std::span<double>(block)) == doctest::Approx(1).epsilon(1e-6));
  CHECK(block[0] / block[2] == doctest::Approx(0.75));
  CHECK(simgr::train::clip_factor(1e9, 0) == 1);
}

TEST_CASE("a float block does not overflow its norm") {
  std::vector<float> block(100, 3e38f);
  CHECK(simgr::train::global_norm(std::span<float>(block)) == doctest::Approx(3e39).epsilon(1e-6));
}

TEST_CASE("the element that is not finite is named by its tensor and place") {
  const auto table = two_tensors();
  std::vector<float> block(32, 1.0f);
  CHECK_FALSE(simgr::train::find_not_finite(table, std::span<float>(block)));
  block[17] = -std::numeric_limits<float>::infinity();
  block[31] = std::numeric_limits<float>::quiet_NaN();  // behind the last tensor: no parameter
  auto found = simgr::train::find_not_finite(table, std::span<float>(block));
  REQUIRE(found);
  CHECK(found->sentence() == "encoder.bias[1] is minus infinite");
  CHECK_FALSE(std::isfinite(simgr::train::global_norm(std::span<float>(block))));
  block[14] = std::numeric_limits<float>::quiet_NaN();
  found = simgr::train::find_not_finite(table, std::span<const float>(block));
  REQUIRE(found);
  CHECK(found->sentence() == "encoder.weight[14] is NaN");
}
