// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <simgr/core/config.hpp>
#include <simgr/text/aligned_text.hpp>
#include <simgr/text/bert_text.hpp>
#include <simgr/text/unicode.hpp>

// Small normalisers that tokenizer.json combines.

namespace simgr::SIMGR_ABI::text {

/// Small letters.
struct Lowercase {
  static constexpr int keeps_up_to() noexcept { return -1; }
  void operator()(AlignedCharacters& characters) const { BertNormalizer::lower(characters); }
};

/// Without nonspacing marks.
struct StripAccents {
  static constexpr int keeps_up_to() noexcept { return 0xCB; }  // U+0300 begins with 0xCC
  void operator()(AlignedCharacters& characters) const {
    std::erase_if(characters, [](const AlignedCharacter& character) {
      return is_nonspacing_mark(character.value);
    });
  }
};

/// Without white space at the ends.
struct StripSpace {
  bool left = true, right = true;

  static constexpr int keeps_up_to() noexcept { return -1; }
  void operator()(AlignedCharacters& characters) const {
    const auto solid = [](const AlignedCharacter& character) {
      return !is_white_space(character.value);
    };
    if (right) {
      characters.erase(std::find_if(characters.rbegin(), characters.rend(), solid).base(),
                       characters.end());
    }
    if (left) {
      characters.erase(characters.begin(),
                       std::find_if(characters.begin(), characters.end(), solid));
    }
  }
};

/// A text in front of one that is not empty.
struct Prepend {
  std::string text;

  static constexpr int keeps_up_to() noexcept { return -1; }
  void operator()(AlignedCharacters& characters) const {
    if (characters.empty()) {
      return;
    }
    AlignedCharacters front = characters_of(text);
    const std::uint32_t begin = characters.front().source.begin;
    for (AlignedCharacter& character : front) { character.source = {begin, begin}; }
    characters.insert(characters.begin(), front.begin(), front.end());
  }
};

/// Every `from` becomes `to`; where `runs`, a blank `from` stands for two and more of it.
struct Replace {
  std::string from, to;
  bool runs = false;

  static constexpr int keeps_up_to() noexcept { return -1; }
  void operator()(AlignedCharacters& characters) const {
    const AlignedCharacters wanted = characters_of(from), put = characters_of(to);
    AlignedCharacters out;
    const auto same = [](const AlignedCharacter& a, const AlignedCharacter& b) {
      return a.value == b.value;
    };
    for (auto at = characters.begin(); at != characters.end();) {
      const auto length = static_cast<std::ptrdiff_t>(wanted.size());
      auto end = at;
      std::size_t times = 0;
      while (length > 0 && characters.end() - end >= length &&
             std::equal(wanted.begin(), wanted.end(), end, same) && (times == 0 || runs)) {
        end += length;
        ++times;
      }
      if (times < (runs ? 2u : 1u)) {
        out.push_back(*at++);
        continue;
      }
      for (AlignedCharacter character : put) {
        character.source = around(at->source, std::prev(end)->source);
        out.push_back(character);
      }
      at = end;
    }
    characters = std::move(out);
  }
};

}  // namespace simgr::SIMGR_ABI::text
