// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <simgr/io/model_config.hpp>
#include <simgr/io/model_folder.hpp>

/// The two JSON files of a checkpoint: what is read is in range, and leads out of no folder.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto facts = simgr::io::try_parse_model_config(input, "config.json")) {
    const auto& f = facts.value();
    const bool in_range = f.width > 0 && f.layers > 0 && f.heads > 0 && f.key_value_heads > 0 &&
                          f.heads % f.key_value_heads == 0 && f.head_width > 0 && f.inner > 0 &&
                          f.vocabulary > 0 && f.decoder_start < f.vocabulary && f.epsilon > 0;
    if (!in_range) {
      std::abort();
    }
  }
  if (const auto index = simgr::io::try_parse_shard_index(input, "index.json")) {
    for (const auto& tensor : index.value().tensors) {
      if (index.value().shards.at(tensor.shard).find_first_of(std::string_view("/\\\0", 3)) !=
          std::string::npos) {
        std::abort();
      }
    }
  }
  return 0;
}
