// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::cpu::detail {

/// How many rows a pass takes where each should have about `wanted`: passes are even, since each pays
/// anew for the other factor, and a multiple of `group`.
constexpr Index rows_of_pass(Index rows, Index wanted, Index group) noexcept {
  const Index passes = std::max(Index{1}, (rows + wanted / 2) / wanted);
  return ((rows + passes - 1) / passes + group - 1) / group * group;
}

}  // namespace simgr::SIMGR_ABI::cpu::detail
