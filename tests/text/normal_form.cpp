// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/normal_form.hpp>

#include <algorithm>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

std::string in_form(std::string_view text, bool composed) {
  AlignedCharacters characters = characters_of(text);
  NormalForm{composed}(characters);
  return encoded(characters).text;
}
std::string nfc(std::string_view text) {
  return in_form(text, true);
}
std::string nfd(std::string_view text) {
  return in_form(text, false);
}

}  // namespace

// Pairs as The Unicode Standard, section 3.11 and its annex 15 give them.
TEST_CASE("canonical decomposition and composition") {
  CHECK(nfd("é") == "e\u0301");
  CHECK(nfc("e\u0301") == "é");
  CHECK(nfd("ế") == "e\u0302\u0301");  // twice
  CHECK(nfc("e\u0302\u0301") == "ế");
  CHECK(nfc("\u212B") == "Å");              // a singleton does not come back
  CHECK(nfd("\u1E69") == "s\u0323\u0307");  // marks in the order of their classes
  CHECK(nfc("s\u0307\u0323") == "\u1E69");
  CHECK(nfc("\u1E0B\u0323") == "\u1E0D\u0307");
  CHECK(nfc("e\u0327\u0301") == "\u0229\u0301");
  CHECK(nfc("a\u0301\u0301") == "á\u0301");  // the second is blocked
  CHECK(nfc("\u0958") == "\u0915\u093C");    // excluded from composition
  CHECK(nfc("\u0344") == "\u0308\u0301");
  CHECK(nfd("\uAC01") == "\u1100\u1161\u11A8");  // Hangul
  CHECK(nfc("\u1100\u1161\u11A8") == "\uAC01");
  CHECK(nfc("\uAC00\u11A8") == "\uAC01");
  CHECK(nfc("\uAC01\u11A8") == "\uAC01\u11A8");
  CHECK(nfc("\u0301") == "\u0301");
  CHECK(nfc("") == "");
  CHECK(nfc("\U0001D15E") == "\U0001D157\U0001D165");
}

TEST_CASE("long runs of marks are in the order of their classes, equal ones as they stood") {
  const std::u32string marks =
      U"\u0301\u0327\u0323\u0308\u0345\u0334\u05B0\u0F71";  // seven classes
  AlignedCharacters characters = {{U'x', {}}};
  std::uint32_t random = 1;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    random = random * 1664525 + 1013904223;
    characters.push_back({marks[random >> 29], {i, i + 1}});
  }
  AlignedCharacters expected = characters;
  std::stable_sort(expected.begin() + 1, expected.end(), [](const auto& a, const auto& b) {
    return detail::combining_class(a.value) < detail::combining_class(b.value);
  });
  decompose(characters);
  REQUIRE(characters.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(characters[i].value == expected[i].value);
    CHECK(characters[i].source == expected[i].source);
  }
}

TEST_CASE("a composed character comes from all its parts") {
  AlignedCharacters characters = characters_of("xe\u0301y", 10);
  compose(characters);
  REQUIRE(characters.size() == 3);
  CHECK(characters[1].source == TextSpan{11, 14});
  CHECK(characters[2].source == TextSpan{14, 15});
}

TEST_CASE("bytes that keep a text as it is do keep it") {
  for (char32_t c = 0; c < 0x300; ++c) {
    std::string text;
    append_utf8(text, c);
    const int highest = static_cast<unsigned char>(text.front());
    if (highest <= NormalForm{true}.keeps_up_to()) {
      CHECK(nfc(text) == text);
    }
    if (highest <= NormalForm{false}.keeps_up_to()) {
      CHECK(nfd(text) == text);
    }
  }
}
