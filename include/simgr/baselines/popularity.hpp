// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/train/popularity.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// Everybody gets the items with the most training interactions: the line that every other model
/// must be above.
using Popularity = train::Popularity;

}  // namespace simgr::SIMGR_ABI::baselines
