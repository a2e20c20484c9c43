// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <simgr/tokenizer/item_id.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// One digit with a code for every item: generation over them is a softmax over the catalogue.
inline SemanticIds atomic_ids(Index items) {
  SemanticIds ids;
  ids.codes = OwnedMatrix<std::int32_t>(items, 1);
  ids.codes_per_digit = {items};
  for (Index item = 0; item < items; ++item) {
    ids.codes.view()(item, 0) = static_cast<std::int32_t>(item);
  }
  return ids;
}

}  // namespace simgr::SIMGR_ABI::tokenizer
