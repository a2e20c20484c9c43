// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/rpg.hpp>
#include <simgr/baselines/simgr.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool mlp = add_kind(kind_of<SimGr, Related<SimGr>>(
    20, "simgr", "items are the mean of their digits and an MLP over them", simgr_defaults));

const bool mean = add_kind(kind_of<SimGrMean>(
    21, "simgr-mean", "items are the plain mean of their digits (the paper)", simgr_mean_defaults));

// Here, because it is the type of the one above.
const bool control = add_kind(kind_of<RpgBySimilarity, Related<RpgBySimilarity>>(
    42, "rpg-simgr", "RPG's numbers with a softmax over items: the control",
    rpg_by_similarity_defaults));

const bool attention = add_kind(kind_of<SimGrWith<simgr::DigitAttention>>(
    22, "simgr-attention", "items are their digits weighed by attention",
    simgr_with_defaults<simgr::DigitAttention>));

const bool gate = add_kind(kind_of<SimGrWith<simgr::DigitGate>>(
    23, "simgr-gated", "items are their digits weighed by gates",
    simgr_with_defaults<simgr::DigitGate>));

}  // namespace
}  // namespace simgr_cli
