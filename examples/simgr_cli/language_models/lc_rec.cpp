// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool decoder = add_kind(kind_over_backbone<AlignedLcRecOver<DecoderLm>>(
    110, "lc-rec-decoder", "lc-rec", "LC-Rec on a Qwen or a Llama, ids and titles aligned"));

const bool gpt2 = add_kind(
    kind_over_backbone<AlignedLcRecOver<Gpt2>>(111, "lc-rec-gpt2", "lc-rec", "LC-Rec on a GPT-2"));

const bool bert = add_kind(kind_over_backbone<AlignedLcRecOver<CausalBert>>(
    112, "lc-rec-bert", "lc-rec", "LC-Rec on a BERT whose tokens see the past alone"));

}  // namespace
}  // namespace simgr_cli
