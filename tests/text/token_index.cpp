// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/token_index.hpp>

#include <random>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

TEST_CASE("a token index finds what a search through all tokens finds") {
  std::mt19937 random(3);
  const auto word = [&](std::size_t longest) {
    std::string text(random() % (longest + 1), ' ');
    for (char& c : text) { c = "ab\xC3\xFF"[random() % 4]; }
    return text;
  };
  for (int round = 0; round < 40; ++round) {
    std::set<std::string> all;
    for (std::size_t i = random() % 200; i > 0; --i) { all.insert(word(6)); }
    const std::vector<std::string> tokens(all.begin(), all.end());
    std::vector<TokenIndex::Entry> entries;
    for (std::size_t i = tokens.size(); i > 0; --i) {
      entries.push_back({tokens[i - 1], static_cast<TokenId>(i - 1)});
    }
    const TokenIndex index(entries);
    REQUIRE(index.size() == tokens.size());
    for (int probe = 0; probe < 100; ++probe) {
      const std::string text = word(9);
      std::vector<std::size_t> expected, found;
      TokenId whole = -1;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (!tokens[i].empty() && text.starts_with(tokens[i])) {
          expected.push_back(tokens[i].size());
        }
        whole = tokens[i] == text ? static_cast<TokenId>(i) : whole;
      }
      index.for_each_prefix(text, [&](TokenIndex::Match match) {
        found.push_back(match.bytes);
        CHECK(tokens[static_cast<std::size_t>(match.id)] == text.substr(0, match.bytes));
      });
      CHECK(found == expected);  // sorted tokens: shortest prefix first
      CHECK(index.find(text) == whole);
      CHECK(index.longest_prefix(text).bytes == (expected.empty() ? 0 : expected.back()));
    }
  }
}

TEST_CASE("an empty index and equal tokens") {
  const TokenIndex none;
  CHECK(none.find("a") == -1);
  CHECK(none.find("") == -1);
  CHECK(none.longest_prefix("abc").bytes == 0);
  const TokenIndex twice({{"b", 7}, {"a", 1}, {"b", 9}});
  CHECK(twice.size() == 2);
  CHECK(twice.find("b") == 7);
}
