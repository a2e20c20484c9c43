// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/setrec.hpp>

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool sets = add_kind(kind_of<SetRec>(
    44, "setrec", "items are sets of vectors, asked for by queries at once", setrec_defaults));

}  // namespace
}  // namespace simgr_cli
