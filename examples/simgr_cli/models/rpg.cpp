// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/rpg.hpp>
#include <simgr/baselines/vq_rec.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool all_items = add_kind(
    kind_of<Rpg>(40, "rpg", "all digits are predicted at once, each by a head", rpg_defaults));

const bool graph = add_kind_beside_quickstart(kind_of<RpgByGraph, Rpg>(
    41, "rpg-graph", "RPG whose lists come from a walk along similar items",
    rpg_defaults_of<RpgByGraph>));

const bool vq_rec = add_kind(kind_of<VqRec>(
    43, "vq-rec", "items are the mean of their codes, softmax over items", vq_rec_defaults));

}  // namespace
}  // namespace simgr_cli
