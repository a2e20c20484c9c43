// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/bert4rec.hpp>
#include <simgr/baselines/fmlp_rec.hpp>
#include <simgr/baselines/hstu.hpp>

// Sequential models over item ids whose blocks are not SASRec's.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool filtered = add_kind_beside_quickstart(kind_of<FmlpRec>(
    13, "fmlp-rec", "learned filters over item ids, full softmax", fmlp_rec_defaults));

const bool cloze = add_kind_beside_quickstart(kind_of<Bert4Rec>(
    14, "bert4rec", "hidden items found from both sides, half the examples hide the last alone",
    bert4rec_defaults));

const bool pointwise = add_kind_beside_quickstart(kind_of<Hstu>(
    15, "hstu", "pointwise attention and gates, by distance without times, full softmax",
    hstu_defaults));

}  // namespace
}  // namespace simgr_cli
