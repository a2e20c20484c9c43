// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/byte_alphabet.hpp>

// Steps that turn tokens back into text; each changes a list of tokens, which is then written side
// by side.

namespace simgr::SIMGR_ABI::text {

/// Every `from` becomes `to`.
inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t begin = 0;
  for (std::size_t at = from.empty() ? std::string::npos : text.find(from); at != std::string::npos;
       at = text.find(from, begin)) {
    out.append(text, begin, at - begin).append(to);
    begin = at + from.size();
  }
  if (begin > 0) {
    text = out.append(text, begin);
  }
}

/// Word pieces: a blank before every token but those that continue a word.
struct JoinWordPieces {
  std::string continuing_prefix = "##";
  bool cleanup = true;  // no blank before punctuation and English contractions

  void operator()(std::vector<std::string>& tokens) const {
    constexpr std::pair<std::string_view, std::string_view> shorter[] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) {
        if (token.starts_with(continuing_prefix)) {
          token.erase(0, continuing_prefix.size());
        } else {
          token.insert(0, 1, ' ');
        }
      }
      for (const auto& [from, to] : shorter) {
        if (cleanup) {
          replace_all(token, from, to);
        }
      }
    }
  }
};

/// Byte-level tokens: the bytes that they are written for. A token with a character that stands for
/// no byte is itself.
struct JoinBytes {
  void operator()(std::vector<std::string>& tokens) const {
    std::string bytes;
    for (const std::string& token : tokens) {
      if (!append_bytes_of(token, bytes)) {
        bytes += token;
      }
    }
    tokens = {std::move(bytes)};
  }
};

}  // namespace simgr::SIMGR_ABI::text
