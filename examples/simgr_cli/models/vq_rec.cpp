// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/vq_rec.hpp>

namespace simgr_cli {
namespace {
const bool added = add_kind(kind_of<simgr::baselines::VqRec>(
    43, "vq-rec", "items are the mean of their codes, softmax over items",
    simgr::baselines::vq_rec_defaults));
}  // namespace
}  // namespace simgr_cli
