// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/simgr.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::SimGrWith<simgr::DigitAttention>>(
    22, "simgr-attention", "items are their digits weighed by attention",
    simgr::baselines::simgr_with_defaults<simgr::DigitAttention>));
}  // namespace
}  // namespace simgr_cli
