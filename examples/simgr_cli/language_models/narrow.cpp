// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

// Models over a frozen language model that stays in bfloat16, and over vectors of items.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool vectors = add_kind(kind_over_backbone<E4SRec>(
    130, "e4srec-decoder", "e4srec", "E4SRec on a Qwen or a Llama; needs --item-vectors"));

const bool simgr_narrow = add_kind(kind_over_backbone<SimGrOver<NarrowDecoderLm>>(
    140, "simgr-decoder-bf16", "simgr", "SimGR on a frozen Qwen or Llama in bfloat16"));

const bool lc_rec_narrow = add_kind(kind_over_backbone<AlignedLcRecOver<NarrowDecoderLm>>(
    141, "lc-rec-decoder-bf16", "lc-rec", "LC-Rec on a frozen Qwen or Llama in bfloat16"));

}  // namespace
}  // namespace simgr_cli
