// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/backbone.hpp>

// In place of language_models/, in a program built without them.

namespace simgr_cli {

namespace {
[[noreturn]] void refuse() {
  throw UsageError("--backbone: this program is built without language models; configure with "
                   "-DSIMGR_CLI_LANGUAGE_MODELS=ON");
}
}  // namespace

BackbonePointer open_backbone(const BackboneOptions&) {
  refuse();
}
const ModelKind& kind_over(const std::string&, const BackboneOptions&, const simgr::io::Backbone&) {
  refuse();
}
simgr::Prompt prompt_of(const simgr::io::Backbone&, const BackboneOptions&, const DataFolder&) {
  refuse();
}

}  // namespace simgr_cli
