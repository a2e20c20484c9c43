// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/crc32_folding.hpp>

#include <array>
#include <cstddef>
#include <string>

#include <doctest/doctest.h>
#include <zlib.h>

#include <simgr/core/rng.hpp>

TEST_CASE("folded bytes have the CRC-32 that zlib computes, from any start and of any length") {
  simgr::Rng rng(3);
  std::string text(4096, ' ');
  for (char& c : text) { c = static_cast<char>(rng.below(256)); }
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::array<unsigned char, 64> rest{};
  std::size_t folded = 0;
  for (std::size_t count = 0; count < 1000; ++count) {
    const auto from = static_cast<std::size_t>(rng.below(3000));
    const auto before = static_cast<std::uint32_t>(crc32_z(0, bytes, from));
    std::uint32_t checksum = before;
    const std::size_t taken = simgr::data::fold_crc32(before, bytes + from, count, rest);
    REQUIRE(taken <= count);
    if (taken > 0) {
      checksum = static_cast<std::uint32_t>(crc32_z(0xffffffffu, rest.data(), rest.size()));
    }
    CHECK(crc32_z(checksum, bytes + from + taken, count - taken) ==
          crc32_z(before, bytes + from, count));
    folded += taken;
  }
#if defined(__PCLMUL__)
  CHECK(folded > 300000);
#else
  CHECK(folded == 0);
#endif
}
