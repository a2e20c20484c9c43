// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/train/counted_model.hpp>
#include <simgr/train/counts.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// Everybody gets the items with the most training interactions, ties by id: the line that every
/// other model must be above.
using Popularity = train::CountedModel<train::Popularity>;

}  // namespace simgr::SIMGR_ABI::baselines
