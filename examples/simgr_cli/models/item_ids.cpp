// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/sasrec.hpp>

// Models that read no semantic ids.

namespace simgr_cli {
namespace {

const bool full_softmax =
    add_kind(kind_of<simgr::baselines::SasRec, Related<simgr::baselines::SasRec>>(
        11, "sasrec", "self-attention over item ids, full softmax",
        simgr::baselines::sasrec_defaults));

const bool one_negative = add_kind(kind_of<simgr::baselines::SasRecBce>(
    12, "sasrec-bce", "self-attention over item ids, one negative (the paper)",
    simgr::baselines::sasrec_bce_defaults));

}  // namespace
}  // namespace simgr_cli
