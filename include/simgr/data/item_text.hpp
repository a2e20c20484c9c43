// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI::data {

/// What a file says of one item. Parts it does not give are empty.
struct ItemText {
  std::string key{};  // the source's own name: `asin`, or the id as text
  std::string title{}, brand{}, description{}, text{}, phrase{};
  std::vector<std::vector<std::string>> categories{};  // paths from the root; one text is one path
  std::vector<std::string> terms{};
  std::vector<std::int64_t> attributes{};
};

namespace detail {

inline void append(std::string& text, std::string_view part, std::string_view separator) {
  if (!part.empty()) {
    text += text.empty() ? std::string_view() : separator;
    text += part;
  }
}

/// The last path, its elements joined by ", "; elements above 40 bytes are marketing, not names.
inline std::string category_text(const ItemText& item) {
  std::string text;
  if (!item.categories.empty()) {
    for (const std::string& name : item.categories.back()) {
      if (name.size() <= 40 || item.categories.back().size() == 1) {
        append(text, name, ", ");
      }
    }
  }
  return text;
}

}  // namespace detail

/// The text a tokenizer sees. Parts are joined by ". ":
///
///   where the source composed one  text
///   else, with a title             title, brand, categories, description
///   else                           phrase, terms (or brand and description), categories
///
/// Empty: the item has no text at all.
inline std::string item_text(const ItemText& item) {
  if (!item.text.empty()) {
    return item.text;
  }
  std::string text;
  if (!item.title.empty()) {
    for (const std::string_view part :
         {std::string_view(item.title), std::string_view(item.brand)}) {
      detail::append(text, part, ". ");
    }
    detail::append(text, detail::category_text(item), ". ");
    detail::append(text, item.description, ". ");
    return text;
  }
  std::string terms;
  for (const std::string& term : item.terms) {
    std::string words = term;
    std::replace_if(
        words.begin(), words.end(), [](char c) { return c == '-' || c == '_'; }, ' ');
    detail::append(terms, words, ", ");
  }
  for (const std::string_view part : {std::string_view(item.phrase), std::string_view(terms)}) {
    detail::append(text, part, ". ");
  }
  if (text.empty()) {
    detail::append(text, item.brand, ". ");
    detail::append(text, item.description, ". ");
  }
  detail::append(text, detail::category_text(item), ". ");
  return text;
}

}  // namespace simgr::SIMGR_ABI::data
