// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/aligned_text.hpp>

namespace simgr::SIMGR_ABI::text {

/// A normalised piece of text on its way to the words that a model takes apart.
struct PreTokens {
  /// Bytes [begin, end) of `text`.
  struct Word {
    std::uint32_t begin, end;
  };

  AlignedText text;
  std::vector<Word> words;
  bool opens_text = true;  // nothing, not even an added token, stands before

  std::string_view view(Word word) const noexcept {
    return std::string_view(text.text).substr(word.begin, word.end - word.begin);
  }

  /// Splits every word by `cut(word, emit)`, which calls emit(begin, end) for the parts to keep, in
  /// order; empty ones are left out.
  template <class Cut>
  void split(Cut&& cut) {
    std::vector<Word> parts;
    parts.reserve(words.size() + text.text.size() / 4);
    for (const Word word : words) {
      cut(view(word), [&](std::size_t begin, std::size_t end) {
        if (begin < end) {
          parts.push_back({word.begin + static_cast<std::uint32_t>(begin),
                           word.begin + static_cast<std::uint32_t>(end)});
        }
      });
    }
    words = std::move(parts);
  }
};

}  // namespace simgr::SIMGR_ABI::text
