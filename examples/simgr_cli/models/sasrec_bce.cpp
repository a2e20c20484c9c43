// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/sasrec.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::SasRecBce>(
    11, "sasrec-bce", "self-attention over item ids, one negative (the paper)",
    simgr::baselines::sasrec_bce_defaults));
}  // namespace
}  // namespace simgr_cli
