// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

// Models that `--lora` and `--adapter` choose.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool simgr_adapted_gpt2 = add_kind(kind_over_backbone<SimGrOver<AdaptedGpt2>>(
    104, "simgr-gpt2-lora", "simgr", "SimGR on a GPT-2 with adapters"));

const bool lc_rec_adapted_gpt2 = add_kind(kind_over_backbone<AlignedLcRecOver<AdaptedGpt2>>(
    113, "lc-rec-gpt2-lora", "lc-rec", "LC-Rec on a GPT-2 with adapters"));

}  // namespace
}  // namespace simgr_cli
