// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool decoder = add_kind(kind_over_backbone<SimGrOver<DecoderLm>>(
    100, "simgr-decoder", "simgr", "SimGR on a Qwen or a Llama"));

const bool gpt2 =
    add_kind(kind_over_backbone<SimGrOver<Gpt2>>(101, "simgr-gpt2", "simgr", "SimGR on a GPT-2"));

const bool bert = add_kind(kind_over_backbone<SimGrOver<Bert, simgr::SequenceMean>>(
    102, "simgr-bert", "simgr", "SimGR on a BERT, a user is the mean of the states"));

}  // namespace
}  // namespace simgr_cli
