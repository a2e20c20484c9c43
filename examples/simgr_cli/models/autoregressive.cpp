// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/lc_rec.hpp>
#include <simgr/baselines/letter.hpp>
#include <simgr/baselines/tiger.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool decoder_only = add_kind(kind_of<LcRec>(
    50, "lc-rec", "a decoder-only model spells the next item digit by digit", lc_rec_defaults));

const bool encoder_decoder = add_kind(kind_of<Tiger>(
    51, "tiger", "an encoder-decoder spells the next item digit by digit", tiger_defaults));

// TIGER's type; what differs besides is the ids, which `simgr tokenize --method letter` makes.
const bool ranking_guided = add_kind(kind_of<Letter>(
    52, "letter", "TIGER trained at a temperature, on LETTER's ids", letter_defaults));

}  // namespace
}  // namespace simgr_cli
