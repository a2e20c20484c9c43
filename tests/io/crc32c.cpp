// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/crc32c.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

using simgr::io::crc32c;

TEST_CASE("CRC-32C has the values of RFC 3720") {
  CHECK(crc32c("123456789") == 0xe3069283u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  std::string rising;
  for (int i = 0; i < 32; ++i) { rising += static_cast<char>(i); }
  CHECK(crc32c(rising) == 0x46dd794eu);
  CHECK(crc32c("") == 0);
  CHECK(simgr::io::checksum_text(0x0a9136aau) == "0a9136aa");
}

TEST_CASE("CRC-32C continues, and the table agrees with the instruction at every length") {
  std::vector<std::byte> bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
  }
  for (std::size_t length = 0; length < bytes.size(); length += length < 40 ? 1 : 97) {
    const std::span<const std::byte> part(bytes.data() + 3, length - (length > 900 ? 3 : 0));
    const auto whole = crc32c(part);
    CHECK(whole == ~simgr::io::detail::crc32c_by_table(~0u, part.data(), part.size()));
    const std::size_t cut = part.size() / 3;
    CHECK(whole == crc32c(part.subspan(cut), crc32c(part.first(cut))));
  }
}
