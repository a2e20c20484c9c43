// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/simgr.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::SimGr>(
    20, "simgr", "items are the mean of their digits and an MLP over them",
    simgr::baselines::simgr_defaults));
}  // namespace
}  // namespace simgr_cli
