// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/byte_pairs.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

struct ToyPairs {
  std::vector<std::string> tokens;
  std::vector<BytePairs::Merge> merges;

  /// Letters, and merges of two tokens each in any order: long ones may have a lower rank.
  explicit ToyPairs(std::uint32_t seed, std::size_t letters, std::size_t count) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < letters; ++i) {
      tokens.push_back(std::string(1, static_cast<char>('a' + i)));
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t left = random() % tokens.size(), right = random() % tokens.size();
      const std::string whole = tokens[left] + tokens[right];
      if (std::find(tokens.begin(), tokens.end(), whole) == tokens.end()) {
        merges.push_back({static_cast<TokenId>(left), static_cast<TokenId>(right),
                          static_cast<TokenId>(tokens.size())});
        tokens.push_back(whole);
      }
    }
    std::shuffle(merges.begin(), merges.end(), random);
  }

  /// The definition, by searching all neighbours for every merge.
  std::vector<TokenId> oracle(std::string_view word) const {
    std::vector<TokenId> ids;
    for (const char c : word) { ids.push_back(static_cast<TokenId>(c - 'a')); }
    for (;;) {
      std::size_t best = merges.size(), at = 0;
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        for (std::size_t rank = 0; rank < best; ++rank) {
          if (merges[rank].left == ids[i] && merges[rank].right == ids[i + 1]) {
            best = rank;
            at = i;
          }
        }
      }
      if (best == merges.size()) {
        return ids;
      }
      ids[at] = merges[best].whole;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
  }
};

std::vector<TokenId> pair_ids(const BytePairs& model, std::string_view word) {
  std::vector<TokenId> ids;
  std::size_t at = 0;
  model.encode(word, [&](TokenId id, std::size_t begin, std::size_t end) {
    CHECK(begin >= at);
    CHECK(end > begin);
    at = end;
    ids.push_back(id);
  });
  return ids;
}

}  // namespace

TEST_CASE("merges are made lowest rank first and leftmost first, in short words and long") {
  std::mt19937 random(11);
  for (std::uint32_t round = 0; round < 60; ++round) {
    const ToyPairs toy(round, 1 + round % 4, 3 + round);
    const BytePairs model({}, toy.tokens, toy.merges);
    for (const std::size_t length : {0, 1, 2, 5, 31, 32, 33, 34, 64, 150}) {
      std::string word(length, 'a');
      for (char& c : word) { c = static_cast<char>('a' + random() % (1 + round % 4)); }
      CHECK(pair_ids(model, word) == toy.oracle(word));
    }
  }
}

TEST_CASE("symbols that are not in the vocabulary") {
  const std::vector<std::string> tokens = {"a", "b", "ab", "?", "<0xC3>", "<0xA9>"};
  const std::vector<BytePairs::Merge> merges = {{0, 1, 2}};
  BytePairs::Config config{.byte_level = false};
  const auto ids = [&](std::string_view word) {
    return pair_ids(BytePairs(config, tokens, merges), word);
  };
  CHECK(ids("axb") == std::vector<TokenId>{2});  // left out, and its neighbours meet
  config.unknown = 3;
  CHECK(ids("axyb") == std::vector<TokenId>{0, 3, 3, 1});
  config.fuse_unknown = true;
  CHECK(ids("axyb") == std::vector<TokenId>{0, 3, 1});
  config.bytes[0xC3] = 4;
  config.bytes[0xA9] = 5;
  CHECK(ids("aéb") == std::vector<TokenId>{0, 4, 5, 1});
  CHECK(ids("中") == std::vector<TokenId>{3});  // not all of its bytes have a token
  config.whole_words = true;
  CHECK(ids("?") == std::vector<TokenId>{3});
}

TEST_CASE("of two merges of one pair the last counts") {
  const std::vector<std::string> tokens = {"a", "b", "c", "ab", "bc"};
  const BytePairs model({}, tokens, {{0, 1, 3}, {1, 2, 4}, {0, 1, 3}});
  CHECK(pair_ids(model, "abc") == std::vector<TokenId>{0, 4});
}

TEST_CASE("the byte alphabet goes both ways") {
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string written, bytes;
    append_utf8(written, byte_character(static_cast<unsigned char>(byte)));
    CHECK(append_bytes_of(written, bytes));
    CHECK(bytes == std::string(1, static_cast<char>(byte)));
  }
  CHECK(byte_character(' ') == 0x120);
  CHECK(byte_character('\n') == 0x10A);
  std::string bytes = "kept";
  CHECK(!append_bytes_of("a b", bytes));
  CHECK(bytes == "kept");
  CHECK(byte_token(10) == "<0x0A>");
}
