// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/encoder/item_embedding.hpp>

namespace simgr::SIMGR_ABI {

/// Every digit of an item's semantic id is a token of its own: a history of t items has t · digits
/// tokens.
struct SemanticEmbedding : TableEmbedding<TableRows::codes> {};

}  // namespace simgr::SIMGR_ABI
