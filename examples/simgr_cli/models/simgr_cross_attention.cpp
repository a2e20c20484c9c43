// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/simgr.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::SimGrCrossAttention>(
    24, "simgr-cross-attention", "each user weighs the digits of items anew",
    simgr::baselines::simgr_over_digits_defaults<simgr::baselines::SimGrCrossAttention>));
}  // namespace
}  // namespace simgr_cli
