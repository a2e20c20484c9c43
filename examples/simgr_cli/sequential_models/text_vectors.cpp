// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/unisrec.hpp>

// Models whose items are read from the vectors of their texts.

namespace simgr_cli {
namespace {

const bool mixture = add_kind_beside_quickstart(kind_of<simgr::baselines::UniSRec>(
    18, "unisrec", "items are mixtures of maps of their texts' vectors",
    simgr::baselines::unisrec_defaults));

}  // namespace
}  // namespace simgr_cli
