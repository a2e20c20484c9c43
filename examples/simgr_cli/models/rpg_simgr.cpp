// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/rpg.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::RpgBySimilarity>(
    42, "rpg-simgr", "RPG's numbers with a softmax over items: the control",
    simgr::baselines::rpg_by_similarity_defaults));
}  // namespace
}  // namespace simgr_cli
