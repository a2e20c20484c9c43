// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/lc_rec.hpp>
#include <simgr/baselines/tiger.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool decoder_only = add_kind(kind_of<LcRec>(
    50, "lc-rec", "a decoder-only model spells the next item digit by digit", lc_rec_defaults));

const bool encoder_decoder = add_kind(kind_of<Tiger>(
    51, "tiger", "an encoder-decoder spells the next item digit by digit", tiger_defaults));

}  // namespace
}  // namespace simgr_cli
