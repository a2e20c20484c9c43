// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/sequential_models/two_stages.hpp>

#include <simgr/baselines/unisrec.hpp>

// Models whose items are read from the vectors of their texts.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

const bool mixture = add_kind_beside_quickstart(two_stages(
    18, "unisrec", "items are mixtures of maps of their texts' vectors; pre-trained where asked",
    unisrec_defaults, unisrec_pretraining,
    [](UniSRec& model, simgr::RaggedView<std::int32_t>, const auto& split, const auto& options,
       const auto& observer,
       auto& pool) { simgr::train::pretrain(model, split, options, observer, pool); },
    [](UniSRec& model, const UniSRec& other) { simgr::train::begin_with(model, other); }));

}  // namespace
}  // namespace simgr_cli
