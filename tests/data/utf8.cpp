// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/utf8.hpp>

#include <string>

#include <doctest/doctest.h>

namespace {

/// The rule of RFC 3629 by decoding: the shortest form of a scalar value.
bool decodes(const std::string& bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
    std::size_t length = 1;
    std::uint32_t code = byte(i), least = 0;
    if (code >= 0x80) {
      length = code >> 5 == 6 ? 2 : code >> 4 == 14 ? 3 : code >> 3 == 30 ? 4 : 0;
      least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
      if (length == 0 || i + length > bytes.size()) {
        return false;
      }
      code &= 0xffu >> (length + 1);
      for (std::size_t k = 1; k < length; ++k) {
        if (byte(i + k) >> 6 != 2) {
          return false;
        }
        code = code << 6 | (byte(i + k) & 63);
      }
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return false;
    }
    i += length;
  }
  return true;
}

}  // namespace

TEST_CASE(
    "all sequences of two bytes, and of three and four around the borders, are told rightly") {
  const int borders[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                         0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                         0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
  const auto check = [](const std::string& bytes) {
    REQUIRE((simgr::data::first_bad_utf8(bytes) < 0) == decodes(bytes));
  };
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) { check({static_cast<char>(a), static_cast<char>(b)}); }
  }
  for (const int a : borders) {
    for (const int b : borders) {
      for (const int c : borders) {
        check({static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)});
        for (const int d : borders) {
          check({static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                 static_cast<char>(d)});
        }
      }
    }
  }
}

TEST_CASE("the place of the first bad byte is given, in long texts too") {
  std::string text(100, 'a');
  CHECK(simgr::data::first_bad_utf8(text) == -1);
  text[77] = '\xff';
  CHECK(simgr::data::first_bad_utf8(text) == 77);
  CHECK(simgr::data::first_bad_utf8("") == -1);
}

TEST_CASE("messages quote the start of a text, whatever it holds") {
  using simgr::data::in_quotes;
  CHECK(in_quotes("") == "\"\"");
  CHECK(in_quotes("user\titems") == "\"user\\titems\"");
  CHECK(in_quotes(std::string("a\0\xff\n", 4)) == "\"a\\x00\\xff\\x0a\"");
  CHECK(in_quotes(std::string(41, 'x')) == "\"" + std::string(40, 'x') + "...\"");
}
