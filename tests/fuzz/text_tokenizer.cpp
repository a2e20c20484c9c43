// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <simgr/core/error.hpp>
#include <simgr/io/text_tokenizer.hpp>

/// A tokenizer.json and, behind the first byte 0xFF, a text; without one, the document is the text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\xFF');
  const auto tokenizer = simgr::io::try_parse_text_tokenizer(input.substr(0, cut));
  if (!tokenizer) {
    return 0;
  }
  const std::string_view text = cut == std::string_view::npos ? input : input.substr(cut + 1);
  try {
    const auto tokens = tokenizer.value().encode(text, {.special_tokens = true});
    for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
      const bool known = tokens.ids[i] >= 0 && tokens.ids[i] < tokenizer.value().vocabulary_size();
      const auto source = tokens.sources[i];
      if (!known || source.begin > source.end || source.end > text.size()) {
        std::abort();
      }
    }
    tokenizer.value().decode(tokens.ids);
  } catch (const simgr::DataError&) {  // normalisers that let the text grow
  }
  return 0;
}
