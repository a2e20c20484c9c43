// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/language_models/adaptor.hpp>

#include <simgr/io/adapter_folder.hpp>
#include <simgr/io/tensor.hpp>

namespace simgr_cli {

void require_same_layout(const simgr::ParameterTable& trained,
                         const simgr::ParameterTable& published, const std::string& backbone) {
  const auto [ours, theirs] = std::mismatch(
      trained.tensors.begin(), trained.tensors.end(), published.tensors.begin(),
      published.tensors.end(), [](const simgr::TensorEntry& a, const simgr::TensorEntry& b) {
        return a.name == b.name && a.shape == b.shape;
      });
  const auto text = [](auto at, auto end) {
    return at == end ? std::string("nothing more")
                     : at->name + " " + simgr::io::shape_text(at->shape);
  };
  if (ours != trained.tensors.end() || theirs != published.tensors.end()) {
    throw simgr::ConfigError("expected the language model that was trained over, with " +
                                 text(ours, trained.tensors.end()) + "; found " +
                                 text(theirs, published.tensors.end()),
                             {.file = backbone});
  }
}

void export_adapters(const ExportOptions& options) {
  namespace fs = std::filesystem;
  for (const char* name : {simgr::io::adapter_config_name, simgr::io::adapter_weights_name}) {
    const std::string path = (fs::path(options.out) / name).string();
    std::error_code error;
    if (fs::exists(path, error)) {
      throw simgr::IoError("this is there already; it is not replaced: give another --out, or move "
                           "it away",
                           {.file = path});
    }
  }
  const auto checkpoint = simgr::io::Checkpoint::read(options.file);
  const ModelKind* kind = kind_of_file(checkpoint);
  if (kind == nullptr || !kind->export_adapters) {
    throw simgr::DataError(
        "expected a model with adapters, of 'simgr fit --backbone --lora'; found " +
            (kind == nullptr ? std::string("one of a type that this program "
                                           "does not have")
                             : kind->name),
        {.file = options.file});
  }
  kind->export_adapters(checkpoint, options.backbone, options.out);
  std::printf("saved %s: %s and %s\n", options.out.c_str(), simgr::io::adapter_config_name,
              simgr::io::adapter_weights_name);
}

}  // namespace simgr_cli
