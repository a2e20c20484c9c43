// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include <simgr/core/config.hpp>
#include <simgr/text/aligned_text.hpp>
#include <simgr/text/normal_form.hpp>
#include <simgr/text/pre_tokens.hpp>
#include <simgr/text/unicode.hpp>

namespace simgr::SIMGR_ABI::text {

/// The four steps of BERT's normalisation, in this order.
///
/// Source  Devlin et al., BERT, arXiv 1810.04805; the fields of tokenizer.json's BertNormalizer
struct BertNormalizer {
  bool clean_text = true;            // without control characters; every white space is a blank
  bool handle_chinese_chars = true;  // a blank on both sides of every ideograph
  bool strip_accents = true;
  bool lowercase = true;

  /// No text is left alone without looking.
  static constexpr int keeps_up_to() noexcept { return -1; }

  void operator()(AlignedCharacters& characters) const {
    if (clean_text) {
      clean(characters);
    }
    if (handle_chinese_chars) {
      set_apart(characters);
    }
    if (strip_accents && !detail::all_below(characters, 0xC0)) {  // the first that has parts
      decompose(characters);
      std::erase_if(characters, [](const AlignedCharacter& character) {
        return is_nonspacing_mark(character.value);
      });
    }
    if (lowercase) {
      lower(characters);
    }
  }

  /// Small letters throughout; U+0130 becomes an i and a dot above.
  static void lower(AlignedCharacters& characters) {
    for (std::size_t i = 0; i < characters.size(); ++i) {
      if (characters[i].value == 0x130) {
        lower_dotted(characters);
        return;
      }
      characters[i].value = small_letter(characters[i].value);
    }
  }

private:
  static void clean(AlignedCharacters& characters) {
    std::size_t kept = 0;
    for (const AlignedCharacter character : characters) {
      const char32_t c = character.value;
      const bool tab = c == U'\t' || c == U'\n' || c == U'\r';
      if (c != broken && (tab || !is_control(c))) {
        characters[kept++] = {is_white_space(c) ? U' ' : c, character.source};
      }
    }
    characters.resize(kept);
  }
  static void set_apart(AlignedCharacters& characters) {
    const auto ideographs =
        std::count_if(characters.begin(), characters.end(), [](const AlignedCharacter& character) {
          return is_chinese(character.value);
        });
    if (ideographs == 0) {
      return;
    }
    AlignedCharacters out;
    out.reserve(characters.size() + 2 * static_cast<std::size_t>(ideographs));
    for (const AlignedCharacter& character : characters) {
      if (is_chinese(character.value)) {
        out.insert(out.end(), {{U' ', character.source}, character, {U' ', character.source}});
      } else {
        out.push_back(character);
      }
    }
    characters = std::move(out);
  }
  static void lower_dotted(AlignedCharacters& characters) {
    AlignedCharacters out;
    for (const AlignedCharacter& character : characters) {
      const bool dotted = character.value == 0x130;
      out.push_back({dotted ? U'i' : small_letter(character.value), character.source});
      if (dotted) {
        out.push_back({0x307, character.source});
      }
    }
    characters = std::move(out);
  }

  /// The blocks of the original, with the one bound that published vocabularies were made with.
  static bool is_chinese(char32_t c) noexcept {
    const auto in = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
    return in(0x4E00, 0x9FFF) || in(0x3400, 0x4DBF) || in(0x20000, 0x2A6DF) ||
           in(0x2A700, 0x2B81F) || in(0x2B920, 0x2CEAF) || in(0xF900, 0xFAFF) ||
           in(0x2F800, 0x2FA1F);
  }
};

/// Words between white space; every punctuation mark, and every ASCII character that is neither
/// letter nor digit, is a word of its own.
struct BertSplit {
  void operator()(PreTokens& tokens) const {
    tokens.split([](std::string_view piece, auto&& emit) {
      std::size_t begin = 0;
      for (std::size_t at = 0; at < piece.size();) {
        const Utf8Step step = decode_utf8(piece.substr(at));
        const bool ascii_mark =
            step.value > 32 && step.value < 127 && !is_letter(step.value) && !is_number(step.value);
        const bool mark = ascii_mark || is_punctuation(step.value);
        if (mark || is_white_space(step.value)) {
          emit(begin, at);
          begin = at + step.bytes;
          if (mark) {
            emit(at, begin);
          }
        }
        at += step.bytes;
      }
      emit(begin, piece.size());
    });
  }
};

}  // namespace simgr::SIMGR_ABI::text
