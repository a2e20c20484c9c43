// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/simgr.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::SimGrEncoded>(
    30, "simgr-encoded", "items go through the encoder that reads histories",
    simgr::baselines::simgr_encoded_defaults));
}  // namespace
}  // namespace simgr_cli
