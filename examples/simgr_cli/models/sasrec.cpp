// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/sasrec.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::SasRec>(
    10, "sasrec", "self-attention over item ids, full softmax", simgr::baselines::sasrec_defaults));
}  // namespace
}  // namespace simgr_cli
