// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/tiger.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::Tiger>(
    51, "tiger", "an encoder-decoder spells the next item digit by digit",
    simgr::baselines::tiger_defaults));
}  // namespace
}  // namespace simgr_cli
