// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/gru4rec.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool of_libraries = add_kind_beside_quickstart(kind_of<Gru4Rec>(
    5, "gru4rec", "gated recurrent units, the libraries' cell, full softmax", gru4rec_defaults));

const bool bpr_max = add_kind_beside_quickstart(kind_of<Gru4RecBprMax>(
    6, "gru4rec-bpr-max", "the authors' recurrent cell, BPR-max over drawn items",
    gru4rec_bpr_max_defaults));

const bool sampled = add_kind_beside_quickstart(kind_of<Gru4RecSampled>(
    7, "gru4rec-sampled", "the authors' recurrent cell, a softmax over drawn items",
    gru4rec_sampled_defaults));

}  // namespace
}  // namespace simgr_cli
