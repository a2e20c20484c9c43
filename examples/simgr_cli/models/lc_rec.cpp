// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/lc_rec.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::LcRec>(
    50, "lc-rec", "a decoder-only model spells the next item digit by digit",
    simgr::baselines::lc_rec_defaults));
}  // namespace
}  // namespace simgr_cli
