// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/tokenizer/item_id.hpp>

namespace simgr::SIMGR_ABI {

/// What is known of the items. Every model is `Model(catalogue, config)` and says in a ConfigError
/// which part it misses.
struct Catalogue {
  Index items = 0;                    // size; taken from the parts below where it is 0
  std::vector<std::string> keys{};    // [items], the host's names; empty: dense ids are the names
  SemanticIds ids{};                  // [items, digits]; empty: none
  OwnedMatrix<float> text_vectors{};  // [items, width]; empty: none
  std::vector<Index> popularity{};    // [items], interactions in the training part; empty: unknown
};

}  // namespace simgr::SIMGR_ABI
