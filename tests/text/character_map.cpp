// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/character_map.hpp>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

using Keys = std::map<std::string, std::string>;

/// A table as SentencePiece stores it: a double array built node by node, and the replacements.
class MapWriter {
public:
  explicit MapWriter(const Keys& keys) : units_(1, 0), used_(1, true) {
    std::vector<std::pair<std::string, std::uint32_t>> entries;
    for (const auto& [key, replacement] : keys) {
      entries.emplace_back(key, static_cast<std::uint32_t>(replacements_.size()));
      replacements_ += replacement + '\0';
    }
    place(0, entries, 0);
  }

  std::string bytes() const {
    std::string bytes;
    const auto put = [&](std::uint32_t value) {
      for (int shift = 0; shift < 32; shift += 8) {
        bytes += static_cast<char>(value >> shift & 0xFF);
      }
    };
    put(static_cast<std::uint32_t>(units_.size() * 4));
    for (const std::uint32_t unit : units_) { put(unit); }
    return bytes + replacements_;
  }

private:
  using Entries = std::vector<std::pair<std::string, std::uint32_t>>;

  void place(std::uint32_t node, const Entries& entries, std::size_t depth) {
    std::map<unsigned, Entries> children;  // 0 is the leaf
    for (const auto& entry : entries) {
      const bool leaf = entry.first.size() == depth;
      children[leaf ? 0 : static_cast<unsigned char>(entry.first[depth])].push_back(entry);
    }
    std::uint32_t base = 1;
    const auto is_free = [&] {
      for (const auto& child : children) {
        const std::uint32_t at = base ^ child.first;
        if (at < used_.size() && used_[at]) {
          return false;
        }
      }
      return true;
    };
    while (!is_free()) { ++base; }
    units_[node] |= (base ^ node) << 10;
    for (const auto& [byte, below] : children) {
      const std::uint32_t at = base ^ byte;
      if (at >= units_.size()) {
        units_.resize(at + 1);
        used_.resize(at + 1);
      }
      used_[at] = true;
      units_[at] = byte == 0 ? below[0].second | 0x80000000u : byte;
      units_[node] |= byte == 0 ? 0x100u : 0;
    }
    for (const auto& [byte, below] : children) {
      if (byte != 0) {
        place(base ^ byte, below, depth + 1);
      }
    }
  }

  std::vector<std::uint32_t> units_;
  std::vector<bool> used_;
  std::string replacements_;
};

std::string mapped(const CharacterMap& map, std::string_view text) {
  AlignedCharacters characters = characters_of(text);
  map(characters);
  return encoded(characters).text;
}

}  // namespace

TEST_CASE("a character map replaces the longest keys") {
  const auto map = CharacterMap::parse(
      MapWriter(
          {{"ﬁ", "fi"}, {"a", "x"}, {"ab", "y"}, {"abcd", "z"}, {"\x01", ""}, {"e\u0301", "é"}})
          .bytes());
  REQUIRE(map);
  CHECK(mapped(*map, "ﬁn") == "fin");
  CHECK(mapped(*map, "a ab abc abcd abcde") == "x y yc z ze");
  CHECK(mapped(*map, "q\x01q") == "qq");
  CHECK(mapped(*map, "e\u0301e") == "ée");
  CHECK(mapped(*map, "") == "");

  AlignedCharacters characters = characters_of("cﬁab");
  (*map)(characters);
  REQUIRE(characters.size() == 4);
  CHECK(characters[1].source == TextSpan{1, 4});
  CHECK(characters[2].source == TextSpan{1, 4});
  CHECK(characters[3].source == TextSpan{4, 6});
}

TEST_CASE("tables that are none, or that lie") {
  CHECK(!CharacterMap::parse(""));
  CHECK(!CharacterMap::parse(std::string("\x08\0\0\0abcd", 8)));   // longer than the file
  CHECK(!CharacterMap::parse(std::string("\x03\0\0\0abc\0", 8)));  // not whole units
  CHECK(!CharacterMap::parse(std::string("\0\0\0\0ab", 6)));       // no end
  CHECK(!CharacterMap::parse(std::string(4, '\0') + std::string(300, 'x') + '\0'));
  const auto empty = CharacterMap::parse(std::string(4, '\0'));
  REQUIRE(empty);
  CHECK(mapped(*empty, "as it is") == "as it is");

  const std::string good = MapWriter({{"a", "x"}, {"ab", "y"}, {"中", "z"}}).bytes();
  std::mt19937 random(23);
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (std::size_t i = 1 + random() % 6; i > 0; --i) {
      bad[4 + random() % (bad.size() - 4)] = static_cast<char>(random());
    }
    if (const auto map = CharacterMap::parse(bad)) {
      const std::string text = mapped(*map, "ab中aab");
      CHECK(text.size() < 4096);
    }
  }
}

TEST_CASE("base64") {
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("Zg==") == "f");
  CHECK(decode_base64("Zm8=") == "fo");
  CHECK(decode_base64("Zm9vYmFy") == "foobar");
  CHECK(decode_base64("+/8A") == std::string("\xFB\xFF\0", 3));
  CHECK(!decode_base64("Zg="));
  CHECK(!decode_base64("Z=g="));
  CHECK(!decode_base64("Zm9v\n"));
  CHECK(!decode_base64("===="));
}
