// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/words.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

std::vector<std::uint64_t> hashes(std::string_view text) {
  std::vector<std::uint64_t> words;
  for_each_word_hash(text, [&](std::uint64_t hash) { words.push_back(hash); });
  return words;
}

}  // namespace

TEST_CASE("words are runs of letters and digits, whatever their case") {
  CHECK(hashes("OPI Nail-Lacquer, 0.5").size() == 5);
  CHECK(hashes("  \t\n .,;:!? ") == std::vector<std::uint64_t>{});
  CHECK(hashes("") == std::vector<std::uint64_t>{});
  CHECK(hashes("NAIL lacquer") == hashes("nail LACQUER"));
  CHECK(hashes("nail") != hashes("nails"));
  CHECK(hashes("ÄÖÜ ŻÓŁĆ ΩΣ ЖЁ") == hashes("äöü żółć ωσ жё"));
  CHECK(hashes("crème") != hashes("creme"));
  CHECK(hashes("crème brûlée").size() == 2);
}

TEST_CASE("punctuation, symbols and emoji of any plane stand between words") {
  CHECK(hashes("a\u2014b\u3001c\U0001F600d\u20ACe\u00D7f\uFF0Cg\u00A0h").size() == 8);
}

TEST_CASE("characters of scripts without spaces are words of their own") {
  CHECK(hashes("口红red").size() == 3);
  CHECK(hashes("リップ").size() == 3);
  CHECK(hashes("한국어 립").size() == 2);
}

TEST_CASE("bytes that are no UTF-8 stand between words and are never read past the end") {
  CHECK(hashes("ab\xFF"
               "cd") == hashes("ab cd"));
  CHECK(hashes("ab\xE3\x81") == hashes("ab"));          // cut
  CHECK(hashes("ab\xC0\xAF") == hashes("ab"));          // overlong
  CHECK(hashes("ab\xED\xA0\x80") == hashes("ab"));      // surrogate
  CHECK(hashes("ab\xF4\x90\x80\x80") == hashes("ab"));  // beyond Unicode
  CHECK(hashes("\xF0").empty());
  CHECK(hashes(std::string_view("a\0b", 3)).size() == 2);
}

TEST_CASE("every character decodes to itself") {
  CHECK(decode_utf8("A").value == U'A');
  CHECK(decode_utf8("\u00E9").value == 0xE9);
  CHECK(decode_utf8("\u20AC").value == 0x20AC);
  CHECK(decode_utf8("\U0001F600").value == 0x1F600);
  CHECK(decode_utf8("\U0001F600").bytes == 4);
}
