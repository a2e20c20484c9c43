// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// The most rows of a table, one an id, that are believed of a file which names ids in `places`
/// places: one wild id must not make every later table huge.
constexpr Index most_rows_named_in(Index places) noexcept {
  return 1000000 + 16 * places;
}

}  // namespace simgr::SIMGR_ABI
