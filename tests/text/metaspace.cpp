// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/metaspace.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/text/rewrite.hpp>

using namespace simgr::text;

namespace {

using Strings = std::vector<std::string>;

Strings metaspace_words(const Metaspace& metaspace, std::string_view text, bool opens = true) {
  PreTokens tokens;
  tokens.text.text = text;
  tokens.words = {{0, static_cast<std::uint32_t>(text.size())}};
  tokens.opens_text = opens;
  metaspace(tokens);
  Strings words;
  for (const PreTokens::Word word : tokens.words) { words.emplace_back(tokens.view(word)); }
  CHECK(tokens.text.sources.size() == tokens.text.text.size());
  return words;
}

template <class Step>
Strings joined(const Step& step, Strings tokens) {
  step(tokens);
  return tokens;
}

template <class Step>
std::string rewritten(const Step& step, std::string_view text) {
  AlignedCharacters characters = characters_of(text);
  step(characters);
  return encoded(characters).text;
}

}  // namespace

TEST_CASE("blanks become marks, and words begin at them") {
  using Prepend = Metaspace::Prepend;
  CHECK(metaspace_words({}, "a b  c") == Strings{"▁a", "▁b", "▁", "▁c"});
  CHECK(metaspace_words({}, " a") == Strings{"▁a"});
  CHECK(metaspace_words({}, "▁a▁b") == Strings{"▁a", "▁b"});
  CHECK(metaspace_words({.prepend = Prepend::never}, "a b") == Strings{"a", "▁b"});
  CHECK(metaspace_words({.prepend = Prepend::first}, "a") == Strings{"▁a"});
  CHECK(metaspace_words({.prepend = Prepend::first}, "a", false) == Strings{"a"});
  CHECK(metaspace_words({.split = false}, "a b") == Strings{"▁a▁b"});
  CHECK(joined(JoinMetaspace{}, {"▁a", "▁b▁", "c"}) == Strings{"a", " b ", "c"});
  CHECK(joined(JoinMetaspace{.drops_first = false}, {"▁a"}) == Strings{" a"});
}

TEST_CASE("steps that join the tokens of byte-pair models over characters") {
  CHECK(joined(JoinByteTokens{}, {"a", "<0xC3>", "<0xA9>", "<0x41>", "b"}) ==
        Strings{"a", "éA", "b"});
  CHECK(joined(JoinByteTokens{}, {"<0xC3>", "<0x41>"}) == Strings{"\uFFFD", "\uFFFD"});
  CHECK(joined(JoinByteTokens{}, {"<0x-1>", "<0x4>", "<0x4G>", "<0x041>"}) ==
        Strings{"<0x-1>", "<0x4>", "<0x4G>", "<0x041>"});
  CHECK(joined(JoinAll{}, {"a", "b"}) == Strings{"ab"});
  CHECK(joined(JoinStripped{.left = 1}, {"  a ", "b"}) == Strings{" a ", "b"});
  CHECK(joined(JoinStripped{.left = 9, .right = 9}, {"  ", " b "}) == Strings{"", "b"});
  CHECK(joined(JoinReplaced{"▁", " "}, {"▁a▁"}) == Strings{" a "});
}

TEST_CASE("small normalisers") {
  CHECK(rewritten(Replace{" ", "▁"}, "a  b") == "a▁▁b");
  CHECK(rewritten(Replace{"ab", ""}, "aabab") == "a");
  CHECK(rewritten(Replace{"", "x"}, "ab") == "ab");
  CHECK(rewritten(Replace{" ", "▁", true}, "a b  c   d") == "a b▁c▁d");
  CHECK(rewritten(Prepend{"▁"}, "a") == "▁a");
  CHECK(rewritten(Prepend{"▁"}, "") == "");
  CHECK(rewritten(StripSpace{}, " \u3000a b\n") == "a b");
  CHECK(rewritten(StripSpace{}, "  ") == "");
  CHECK(rewritten(StripSpace{.left = false}, " a ") == " a");
  CHECK(rewritten(Lowercase{}, "ÀÉ") == "àé");
  CHECK(rewritten(StripAccents{}, "e\u0301é") == "eé");
}
