// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

#include <simgr/io/config_fields.hpp>
#include <simgr/io/input_file.hpp>

namespace simgr::SIMGR_ABI::io {

/// What a tokenizer_config.json says, beside tokenizer.json, as far as it does.
struct TokenizerConfig {
  Index longest = 0;  // tokens of a text; 0: no limit
  std::string end{};  // the token that ends a text, or empty
};

/// Reads the text of a tokenizer_config.json. Other members are passed over.
///
/// `model_max_length` is the text's limit; where there is none, files have a number beyond any text, 1e30
/// written as an integer.
///
/// Errors  DataError with file and field: not JSON, a length that is no number of at least 1, an end that
///         is no token
inline Result<TokenizerConfig> try_parse_tokenizer_config(std::string_view text,
                                                          const std::string& file = {}) {
  constexpr double most = 1 << 24;  // more is no limit
  auto root = try_parse_config(text, file, {.depth = 16, .values = 1 << 20, .wide_integers = true});
  if (!root) {
    return root.error();
  }
  Failure failure;
  ConfigFields fields(*root, file, failure);
  TokenizerConfig config;
  if (fields.has("model_max_length")) {
    const double longest = fields.number("model_max_length", 1, 1e300);
    config.longest = longest <= most ? static_cast<Index>(longest) : 0;
  }
  if (const data::JsonValue* end = fields.find("eos_token")) {
    const data::JsonValue* content = end->as_object() != nullptr ? end->find("content") : end;
    if (content == nullptr || content->as_text() == nullptr) {
      fields.refuse("eos_token", "a token, or an object with its content");
    } else {
      config.end = *content->as_text();
    }
  }
  if (failure) {
    return *std::move(failure);
  }
  return config;
}

/// The tokenizer_config.json of a folder; without one, nothing is said.
///
/// Errors  IoError of the system; DataError as try_parse_tokenizer_config, and beyond 16 MiB
inline Result<TokenizerConfig> try_read_tokenizer_config(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "tokenizer_config.json").string();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return TokenizerConfig();
  }
  const auto text = try_read_text(path, Index{16} << 20);
  if (!text) {
    return text.error();
  }
  return try_parse_tokenizer_config(text.value(), path);
}

}  // namespace simgr::SIMGR_ABI::io
