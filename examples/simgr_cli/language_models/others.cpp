// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool encoded = add_kind(kind_over_backbone<SimGrEncodedOver<DecoderLm>>(
    103, "simgr-encoded-decoder", "simgr-encoded",
    "SimGR on a Qwen or a Llama, which reads items too"));

const bool decoder = add_kind(kind_over_backbone<RpgOver<DecoderLm>>(
    120, "rpg-decoder", "rpg", "RPG's heads on a Qwen or a Llama"));

const bool bert =
    add_kind(kind_over_backbone<RpgOver<Bert>>(121, "rpg-bert", "rpg", "RPG's heads on a BERT"));

const bool vectors = add_kind(kind_over_backbone<E4SRec>(
    130, "e4srec-decoder", "e4srec", "E4SRec on a Qwen or a Llama; needs --item-vectors"));

}  // namespace
}  // namespace simgr_cli
