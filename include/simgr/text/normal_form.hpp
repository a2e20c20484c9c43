// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/aligned_text.hpp>
#include <simgr/text/unicode_composition.hpp>
#include <simgr/text/unicode_decomposition.hpp>

namespace simgr::SIMGR_ABI::text {

namespace detail {

// Hangul syllables are arithmetic: leading consonant, vowel, trailing consonant.
inline constexpr char32_t hangul_first = 0xAC00, hangul_lead = 0x1100, hangul_vowel = 0x1161,
                          hangul_trail = 0x11A7, hangul_leads = 19, hangul_vowels = 21,
                          hangul_trails = 28, hangul_count = 11172;

inline unsigned combining_class(char32_t c) noexcept {
  if (c < 0x300) {
    return 0;
  }
  const auto run = std::lower_bound(
      std::begin(combining_class_runs), std::end(combining_class_runs), c,
      [](const CombiningClassRun& each, char32_t value) { return each.last < value; });
  return run != std::end(combining_class_runs) && c >= run->first ? run->value : 0;
}

/// What a character decomposes to in one step, or null.
inline const Decomposition* decomposition_of(char32_t c) noexcept {
  const auto next = std::upper_bound(
      std::begin(decomposition_runs), std::end(decomposition_runs), c,
      [](char32_t value, const DecompositionRun& run) { return value < run.first; });
  if (next == std::begin(decomposition_runs)) {
    return nullptr;
  }
  const DecompositionRun& run = *std::prev(next);
  const std::size_t end =
      next != std::end(decomposition_runs) ? next->index : std::size(decompositions);
  const std::size_t index = run.index + (c - run.first);
  return index < end ? &decompositions[index] : nullptr;
}

inline bool all_below(const AlignedCharacters& characters, char32_t bound) noexcept {
  return std::all_of(characters.begin(), characters.end(),
                     [=](const AlignedCharacter& character) { return character.value < bound; });
}

inline void append_decomposed(AlignedCharacters& out, AlignedCharacter character) {
  const char32_t c = character.value;
  if (c >= hangul_first && c < hangul_first + hangul_count) {
    const char32_t syllable = c - hangul_first, trail = syllable % hangul_trails;
    const char32_t pair = syllable / hangul_trails;
    out.push_back({hangul_lead + pair / hangul_vowels, character.source});
    out.push_back({hangul_vowel + pair % hangul_vowels, character.source});
    if (trail != 0) {
      out.push_back({hangul_trail + trail, character.source});
    }
    return;
  }
  const Decomposition* parts = c < 0xC0 ? nullptr : decomposition_of(c);
  if (parts == nullptr) {
    out.push_back(character);
    return;
  }
  append_decomposed(out, {parts->first, character.source});  // at most four levels
  if (parts->second != 0) {
    out.push_back({parts->second, character.source});
  }
}

/// Puts the marks of every run into the order of their classes; equal ones stay in order.
inline void order_marks(AlignedCharacters& characters) {
  std::vector<unsigned> classes;
  for (std::size_t begin = 0; begin < characters.size();) {
    classes.clear();
    for (std::size_t at = begin; at < characters.size(); ++at) {
      const unsigned mark = combining_class(characters[at].value);
      if (mark == 0) {
        break;
      }
      classes.push_back(mark);
    }
    if (!std::is_sorted(classes.begin(), classes.end())) {
      std::array<std::size_t, 256> places{};  // where the next mark of a class goes
      for (const unsigned mark : classes) {
        ++places[mark + 1];  // no class is above 254
      }
      std::partial_sum(places.begin(), places.end(), places.begin());
      const AlignedCharacters run(characters.begin() + static_cast<std::ptrdiff_t>(begin),
                                  characters.begin() +
                                      static_cast<std::ptrdiff_t>(begin + classes.size()));
      for (std::size_t i = 0; i < run.size(); ++i) {
        characters[begin + places[classes[i]]++] = run[i];
      }
    }
    begin += classes.size() + 1;
  }
}

/// The character that two are together, or 0.
inline char32_t composed(char32_t first, char32_t second) noexcept {
  if (first >= hangul_lead && first < hangul_lead + hangul_leads && second >= hangul_vowel &&
      second < hangul_vowel + hangul_vowels) {
    return hangul_first +
           ((first - hangul_lead) * hangul_vowels + second - hangul_vowel) * hangul_trails;
  }
  if (first >= hangul_first && first < hangul_first + hangul_count &&
      (first - hangul_first) % hangul_trails == 0 && second > hangul_trail &&
      second < hangul_trail + hangul_trails) {
    return first + second - hangul_trail;
  }
  const std::pair<char32_t, char32_t> wanted(first, second);
  const auto found = std::lower_bound(
      std::begin(compositions), std::end(compositions), wanted,
      [](const Composition& each, const std::pair<char32_t, char32_t>& pair) {
        return each.first != pair.first ? each.first < pair.first : each.second < pair.second;
      });
  return found != std::end(compositions) && found->first == first && found->second == second
             ? found->whole
             : 0;
}

}  // namespace detail

/// Canonical decomposition (NFD). What comes of a character has its source.
///
/// Cost    linear
/// Source  The Unicode Standard, section 3.11
inline void decompose(AlignedCharacters& characters) {
  if (detail::all_below(characters, 0xC0)) {  // the first that has parts
    return;
  }
  AlignedCharacters out;
  out.reserve(2 * characters.size());  // a letter and its mark; what is not needed is not touched
  for (const AlignedCharacter& character : characters) {
    detail::append_decomposed(out, character);
  }
  detail::order_marks(out);
  characters = std::move(out);
}

/// Canonical composition (NFC). A composed character comes from the sources of its parts.
///
/// Cost, Source  as decompose
inline void compose(AlignedCharacters& characters) {
  if (detail::all_below(characters, 0x300)) {  // the first that is a mark
    return;
  }
  decompose(characters);
  std::size_t starter = characters.size(), kept = 0;
  unsigned last_class = 0;  // of the characters kept behind the starter; 0: none
  for (const AlignedCharacter character : characters) {
    const unsigned own_class = detail::combining_class(character.value);
    const bool blocked = kept > 0 && starter + 1 != kept && last_class >= own_class;
    if (starter < kept && !blocked) {
      if (const char32_t whole = detail::composed(characters[starter].value, character.value)) {
        characters[starter].value = whole;
        characters[starter].source = around(characters[starter].source, character.source);
        continue;
      }
    }
    if (own_class == 0) {
      starter = kept;
    }
    last_class = own_class;
    characters[kept++] = character;
  }
  characters.resize(kept);
}

/// NFC or NFD as a step of a tokenizer.
struct NormalForm {
  bool composed = true;

  /// A text of bytes up to this is in the form already: U+0300 begins with 0xCC, U+00C0 with 0xC3.
  int keeps_up_to() const noexcept { return composed ? 0xCB : 0xC2; }

  void operator()(AlignedCharacters& characters) const {
    composed ? compose(characters) : decompose(characters);
  }
};

}  // namespace simgr::SIMGR_ABI::text
