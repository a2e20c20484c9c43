// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/caser.hpp>
#include <simgr/baselines/hgn.hpp>

// Models that read the last few items of a history and the mean of all.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool convolved = add_kind_beside_quickstart(
    kind_of<Caser>(8, "caser", "convolutions over the last items, full softmax", caser_defaults));

const bool gated = add_kind_beside_quickstart(
    kind_of<Hgn>(9, "hgn", "the last items gated by item and user, full softmax", hgn_defaults));

const bool gated_by_pairs = add_kind_beside_quickstart(kind_of<HgnBpr>(
    10, "hgn-bpr", "the last items gated by item and user, BPR (the paper)", hgn_bpr_defaults));

}  // namespace
}  // namespace simgr_cli
