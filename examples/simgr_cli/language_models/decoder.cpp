// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

// A file for each language model: what the models over it share is compiled once.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool simgr_decoder = add_kind(kind_over_backbone<SimGrOver<DecoderLm>>(
    100, "simgr-decoder", "simgr", "SimGR on a Qwen or a Llama"));

const bool simgr_encoded_decoder = add_kind(kind_over_backbone<SimGrEncodedOver<DecoderLm>>(
    103, "simgr-encoded-decoder", "simgr-encoded",
    "SimGR on a Qwen or a Llama, which reads items too"));

const bool lc_rec = add_kind(kind_over_backbone<AlignedLcRecOver<DecoderLm>>(
    110, "lc-rec-decoder", "lc-rec", "LC-Rec on a Qwen or a Llama, ids and titles aligned"));

const bool rpg = add_kind(kind_over_backbone<RpgOver<DecoderLm>>(
    120, "rpg-decoder", "rpg", "RPG's heads on a Qwen or a Llama"));

}  // namespace
}  // namespace simgr_cli
