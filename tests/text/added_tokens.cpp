// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/added_tokens.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

/// Pieces of text in round brackets, tokens in square ones.
std::string found_in(std::string_view text, std::vector<AddedToken> tokens,
                     bool normalized = false) {
  const AddedTokens added(std::move(tokens), [](const std::string& content) { return content; });
  std::string found;
  added.split(
      text, normalized,
      [&](std::size_t begin, std::size_t end) {
        found += "(" + std::string(text.substr(begin, end - begin)) + ")";
      },
      [&](const AddedToken& token, std::size_t begin, std::size_t end) {
        found += "[" + std::to_string(token.id) + ":" +
                 std::string(text.substr(begin, end - begin)) + "]";
      });
  return found;
}

}  // namespace

TEST_CASE("added tokens are found from the left, the longest first") {
  const std::vector<AddedToken> tokens = {
      {.content = "<a>", .id = 1}, {.content = "<a><b>", .id = 2}, {.content = "b", .id = 3}};
  CHECK(found_in("x<a><b>y<a>b<", tokens) == "(x)[2:<a><b>](y)[1:<a>][3:b](<)");
  CHECK(found_in("<a", tokens) == "(<a)");
  CHECK(found_in("", tokens) == "");
  CHECK(found_in("plain", {}) == "(plain)");
}

TEST_CASE("single words, and the white space that tokens take along") {
  CHECK(found_in("cat catalogue a_cat cat", {{.content = "cat", .id = 1, .single_word = true}}) ==
        "[1:cat]( catalogue a_cat )[1:cat]");
  CHECK(found_in("écat catß", {{.content = "cat", .id = 1, .single_word = true}}) == "(écat catß)");
  CHECK(found_in("a \u3000<m>  b", {{.content = "<m>", .id = 1, .left_strip = true}}) ==
        "(a)[1: \u3000<m>](  b)");
  CHECK(found_in("a <m> \u00A0<m>b", {{.content = "<m>", .id = 1, .right_strip = true}}) ==
        "(a )[1:<m> \u00A0][1:<m>](b)");
  CHECK(found_in(" <m>", {{.content = "<m>", .id = 1, .left_strip = true}}) == "[1: <m>]");
}

TEST_CASE("a token is sought either in the text as written or in the normalised one") {
  const std::vector<AddedToken> tokens = {{.content = "A", .id = 1},
                                          {.content = "b", .id = 2, .normalized = true}};
  CHECK(found_in("Ab", tokens, false) == "[1:A](b)");
  CHECK(found_in("Ab", tokens, true) == "(A)[2:b]");
}
