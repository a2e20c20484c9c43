// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/simgr.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::SimGrMean>(
    21, "simgr-mean", "items are the plain mean of their digits (the paper)",
    simgr::baselines::simgr_mean_defaults));
}  // namespace
}  // namespace simgr_cli
