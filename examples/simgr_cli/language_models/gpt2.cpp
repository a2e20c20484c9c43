// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool simgr_gpt2 =
    add_kind(kind_over_backbone<SimGrOver<Gpt2>>(101, "simgr-gpt2", "simgr", "SimGR on a GPT-2"));

const bool lc_rec_gpt2 = add_kind(
    kind_over_backbone<AlignedLcRecOver<Gpt2>>(111, "lc-rec-gpt2", "lc-rec", "LC-Rec on a GPT-2"));

}  // namespace
}  // namespace simgr_cli
