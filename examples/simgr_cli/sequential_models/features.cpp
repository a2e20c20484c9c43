// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/sequential_models/two_stages.hpp>

#include <simgr/baselines/fdsa.hpp>
#include <simgr/baselines/s3rec.hpp>

// Traditional sequential models that read what is known of items.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

ModelKind s3rec() {
  ModelKind kind = two_stages(
      17, "s3rec", "pre-trained by attributes, hidden items and segments; then as sasrec-bce",
      s3rec_defaults, s3rec_pretraining,
      [](S3Rec& model, simgr::RaggedView<std::int32_t> attributes, const auto& split,
         const auto& options, const auto& observer, auto& pool) {
        simgr::train::pretrain(model, attributes, split, options, observer, pool);
      });
  kind.needs.attributes = true;
  return kind;
}

const bool streams = add_kind_beside_quickstart(kind_of<Fdsa>(
    16, "fdsa", "self-attention over items and, apart, over the vectors of their texts",
    fdsa_defaults));

const bool pretrained = add_kind_beside_quickstart(s3rec());

}  // namespace
}  // namespace simgr_cli
