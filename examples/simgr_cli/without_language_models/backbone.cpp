// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/backbone.hpp>
#include <simgr_cli/commands.hpp>

// In place of language_models/, in a program built without them.

namespace simgr_cli {

namespace {
[[noreturn]] void refuse(const char* what) {
  throw UsageError(std::string(what) +
                   ": this program is built without language models; configure with "
                   "-DSIMGR_CLI_LANGUAGE_MODELS=ON");
}
}  // namespace

BackbonePointer open_backbone(const BackboneOptions&) {
  refuse("--backbone");
}
const ModelKind& kind_over(const std::string&, const BackboneOptions&, const simgr::io::Backbone&) {
  refuse("--backbone");
}
simgr::Prompt prompt_of(const simgr::io::Backbone&, const BackboneOptions&, const DataFolder&) {
  refuse("--backbone");
}
simgr::Ragged<std::int32_t> words_of_digits(const simgr::io::Backbone&, const std::string&) {
  refuse("--backbone");
}
void embed(const EmbedOptions&) {
  refuse("embed");
}
void export_adapters(const ExportOptions&) {
  refuse("export");
}
void inspect_folder(const InspectOptions&) {
  refuse("inspect FOLDER");
}

}  // namespace simgr_cli
