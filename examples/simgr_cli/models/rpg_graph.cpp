// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/rpg.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::RpgByGraph>(
    41, "rpg-graph", "RPG whose lists come from a walk along similar items",
    simgr::baselines::rpg_defaults_of<simgr::baselines::RpgByGraph>));
}  // namespace
}  // namespace simgr_cli
