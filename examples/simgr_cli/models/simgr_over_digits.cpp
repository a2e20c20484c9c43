// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/simgr.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool cross_attention = add_kind(kind_of<SimGrCrossAttention>(
    24, "simgr-cross-attention", "each user weighs the digits of items anew",
    simgr_over_digits_defaults<SimGrCrossAttention>));

const bool encoded = add_kind(
    kind_of<SimGrEncoded>(30, "simgr-encoded", "items go through the encoder that reads histories",
                          simgr_over_digits_defaults<SimGrEncoded>));

}  // namespace
}  // namespace simgr_cli
