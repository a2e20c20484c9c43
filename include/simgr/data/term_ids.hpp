// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <simgr/data/key_index.hpp>
#include <simgr/data/lc_rec.hpp>

// Ids of words, one JSON object, plain or gzip:
//
//   {"0": ["makeup", "nail-polish", "red", "crackle"], "1": ["makeup", "nail-polish", "red", "matt"]}
//
// of every item its terms, one a digit, from the widest to the narrowest. Items may share all of them.
//
// Source  IIRG (arXiv 2606.17276), whose language model makes four; the file is made elsewhere

namespace simgr::SIMGR_ABI::data {

/// Ids whose codes are terms: code c of digit l is terms[l][c].
struct TermIds {
  SemanticIds ids;
  std::vector<std::vector<std::string>> terms;  // [digits] of [codes]; empty: ids without terms
};

namespace detail {

/// The codes of a digit are its terms by first appearance, from item 0 on.
inline Result<TermIds> ids_of_terms(const std::string& path,
                                    const std::vector<const JsonMember*>& members) {
  TermIds made;
  std::vector<KeyIndex> codes;
  for (std::size_t item = 0; item < members.size(); ++item) {
    const JsonMember& member = *members[item];
    const JsonValue::Array* terms = member.value.as_array();
    if (terms == nullptr || terms->empty() || terms->size() > 26) {
      return json_error(path, member, "expected a list of 1 to 26 terms");
    }
    if (item == 0) {
      codes.resize(terms->size());
      made.terms.resize(terms->size());
    }
    if (terms->size() != codes.size()) {
      return json_error(path, member,
                        "expected " + std::to_string(codes.size()) +
                            " terms as item 0 has, found " + std::to_string(terms->size()));
    }
    for (std::size_t digit = 0; digit < codes.size(); ++digit) {
      const std::string* term = (*terms)[digit].as_text();
      if (term == nullptr || term->empty() || term->size() > 4096) {
        return json_error(path, member,
                          "term " + std::to_string(digit + 1) +
                              ": expected a text of 1 to 4096 bytes");
      }
      const std::int32_t code = codes[digit].text(*term);
      made.ids.codes.values.push_back(code);
      if (code == std::ssize(made.terms[digit])) {
        made.terms[digit].push_back(*term);
      }
    }
  }
  made.ids.codes.rows = static_cast<Index>(members.size());
  made.ids.codes.cols = std::ssize(codes);
  for (const auto& of_digit : made.terms) {
    made.ids.codes_per_digit.push_back(std::ssize(of_digit));
  }
  return made;
}

}  // namespace detail

/// Reads terms.
///
/// Errors  DataError with file and byte: items other than 0 … n-1, no list, no or more than 26 terms,
///         items with different numbers of them, a term that is empty or longer than 4096 bytes; what
///         ByteSource reports
inline Result<TermIds> try_read_term_ids(const std::string& path, const SourceLimits& limits = {}) {
  return detail::of_items(path, limits, [&](const std::vector<const JsonMember*>& members) {
    return detail::ids_of_terms(path, members);
  });
}

inline TermIds read_term_ids(const std::string& path, const SourceLimits& limits = {}) {
  return try_read_term_ids(path, limits).value_or_raise();
}

/// Reads an index of LC-Rec's form, or terms: such as where the list of item 0 begins with a text that
/// does not begin with `<`.
///
/// Errors  those of either
inline Result<TermIds> try_read_index_or_terms(const std::string& path,
                                               const SourceLimits& limits = {}) {
  const auto read = [&](const std::vector<const JsonMember*>& members) -> Result<TermIds> {
    const JsonValue::Array* const list = members.front()->value.as_array();
    const std::string* const text =
        list != nullptr && !list->empty() ? list->front().as_text() : nullptr;
    if (text != nullptr && !text->starts_with('<')) {
      return detail::ids_of_terms(path, members);
    }
    auto ids = detail::ids_of_index(path, members);
    return ids ? Result<TermIds>(TermIds{std::move(*ids), {}}) : Result<TermIds>(ids.error());
  };
  return detail::of_items(path, limits, read);
}

}  // namespace simgr::SIMGR_ABI::data
