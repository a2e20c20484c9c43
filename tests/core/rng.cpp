// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/rng.hpp>

#include <doctest/doctest.h>

TEST_CASE("Philox gives the known answers of its authors") {
  using Words = std::array<std::uint32_t, 4>;
  CHECK(simgr::philox({0, 0, 0, 0}, 0) == Words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(simgr::philox({0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}, ~std::uint64_t{0}) ==
        Words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(simgr::philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, 0x299f31d0a4093822u) ==
        Words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}
