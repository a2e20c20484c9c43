// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/language_models/adaptor.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool simgr_bert = add_kind(kind_over_backbone<SimGrOver<Bert, simgr::SequenceMean>>(
    102, "simgr-bert", "simgr", "SimGR on a BERT, a user is the mean of the states"));

const bool lc_rec_bert = add_kind(kind_over_backbone<AlignedLcRecOver<CausalBert>>(
    112, "lc-rec-bert", "lc-rec", "LC-Rec on a BERT whose tokens see the past alone"));

}  // namespace
}  // namespace simgr_cli
