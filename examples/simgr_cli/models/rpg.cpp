// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/rpg.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::Rpg>(
    40, "rpg", "all digits are predicted at once, each by a head", simgr::baselines::rpg_defaults));
}  // namespace
}  // namespace simgr_cli
