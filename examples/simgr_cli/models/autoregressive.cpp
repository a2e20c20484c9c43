// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/lc_rec.hpp>
#include <simgr/baselines/letter.hpp>
#include <simgr/baselines/liger.hpp>
#include <simgr/baselines/tiger.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool decoder_only = add_kind(kind_of<LcRec, Related<LcRec>>(
    50, "lc-rec", "a decoder-only model spells the next item digit by digit", lc_rec_defaults));

const bool encoder_decoder = add_kind(kind_of<Tiger, Related<Tiger>>(
    51, "tiger", "an encoder-decoder spells the next item digit by digit", tiger_defaults));

// TIGER's type; what differs besides is the ids, which `simgr tokenize --method letter` makes.
const bool ranking_guided = add_kind_beside_quickstart(kind_of<Letter, Related<Letter>>(
    52, "letter", "TIGER trained at a temperature, on LETTER's ids", letter_defaults));

const bool hybrid = add_kind(kind_of<Liger, Related<Liger>>(
    53, "liger", "TIGER that reads texts; what it spells is ordered by the distance to texts",
    liger_defaults));

const bool dense = add_kind_beside_quickstart(kind_of<LigerDense, Related<Liger>>(
    54, "liger-dense", "LIGER that compares the texts of all items and spells none",
    liger_defaults_of<LigerDense>));

}  // namespace
}  // namespace simgr_cli
