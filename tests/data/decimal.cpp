// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/decimal.hpp>

#include <string>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

TEST_CASE("every byte is told from digits, by words and by vectors alike") {
  simgr::Rng rng(1);
  for (int round = 0; round < 2000; ++round) {
    char text[64];
    for (char& c : text) {
      c = static_cast<char>(rng.below(2) == 0 ? rng.below(256) : '0' + rng.below(10));
    }
    std::uint64_t expected = 0;
    for (int i = 0; i < 64; ++i) { expected |= std::uint64_t{text[i] < '0' || text[i] > '9'} << i; }
    CHECK(simgr::data::other_than_digits(text) == expected);
    CHECK(simgr::data::other_than_digits_by_words(text) == expected);
  }
}

TEST_CASE("numbers of 1 to 16 digits are read as the standard library reads them") {
  simgr::Rng rng(2);
  for (int digits = 1; digits <= 16; ++digits) {
    for (int round = 0; round < 200; ++round) {
      std::string text(16, static_cast<char>(rng.below(256)));
      std::string number;
      for (int i = 0; i < digits; ++i) { number += static_cast<char>('0' + rng.below(10)); }
      text += number;
      CHECK(simgr::data::decimal(text.data() + text.size(), digits) == std::stoll(number));
      CHECK(simgr::data::decimal_by_words(text.data() + text.size(), digits) == std::stoll(number));
    }
  }
}

TEST_CASE("the scanner stops at every byte that is no digit") {
  const std::string margin(64, '\n');
  const std::string text = margin + "12,,345\t6" + std::string(100, '7') + "\n" + margin;
  simgr::data::DecimalScanner scanner(text.data() + 64, text.data() + text.size() - 64);
  const auto next = [&] {
    scanner.next();
    return std::string(scanner.begin(), scanner.end()) + scanner.delimiter();
  };
  CHECK(next() == "12,");
  CHECK(next() == ",");
  CHECK(next() == "345\t");
  CHECK(next() == "6" + std::string(100, '7') + "\n");
}

TEST_CASE("a text is a number as a whole or not at all") {
  CHECK(simgr::data::number_of<int>("17") == 17);
  CHECK_FALSE(simgr::data::number_of<int>("17 ").has_value());
  CHECK_FALSE(simgr::data::number_of<int>("").has_value());
  CHECK_FALSE(simgr::data::number_of<int>("99999999999").has_value());
}
