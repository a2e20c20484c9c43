// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/word_piece.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

struct WordPieceCall {
  TokenId id;
  std::size_t begin, end;
  friend bool operator==(const WordPieceCall&, const WordPieceCall&) = default;
};

const std::vector<std::string> toy_pieces = {"[UNK]", "un", "##aff", "##able", "##a",
                                             "##f",   "a",  "##é",   "##",     "unaf"};

std::vector<WordPieceCall> pieces_of(std::string_view word, simgr::Index longest = 100) {
  const WordPiece model({.longest_word = longest}, toy_pieces);
  std::vector<WordPieceCall> calls;
  model.encode(word, [&](TokenId id, std::size_t begin, std::size_t end) {
    calls.push_back({id, begin, end});
  });
  return calls;
}

}  // namespace

TEST_CASE("always the longest piece, and one unknown token where that leads nowhere") {
  using Calls = std::vector<WordPieceCall>;
  CHECK(pieces_of("unaffable") == Calls{{9, 0, 4}, {5, 4, 5}, {3, 5, 9}});
  CHECK(pieces_of("una") == Calls{{1, 0, 2}, {4, 2, 3}});
  CHECK(pieces_of("aé") == Calls{{6, 0, 1}, {7, 1, 3}});
  CHECK(pieces_of("unx") == Calls{{0, 0, 3}});
  CHECK(pieces_of("xun") == Calls{{0, 0, 3}});
  CHECK(pieces_of("") == Calls{});
}

TEST_CASE("words longer than the limit are unknown; characters count, not bytes") {
  CHECK(pieces_of("aéé", 3).size() == 3);
  CHECK(pieces_of("aééé", 3) == std::vector<WordPieceCall>{{0, 0, 7}});
}
