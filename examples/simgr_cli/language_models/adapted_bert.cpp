// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

// Models that `--lora` and `--adapter` choose.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool simgr_adapted_bert =
    add_kind(kind_over_backbone<SimGrOver<AdaptedBert, simgr::SequenceMean>>(
        105, "simgr-bert-lora", "simgr", "SimGR on a BERT with adapters"));

const bool lc_rec_adapted_bert = add_kind(kind_over_backbone<AlignedLcRecOver<AdaptedCausalBert>>(
    114, "lc-rec-bert-lora", "lc-rec", "LC-Rec on a BERT with adapters"));

}  // namespace
}  // namespace simgr_cli
