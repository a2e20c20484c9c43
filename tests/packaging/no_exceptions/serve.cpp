// SPDX-License-Identifier: Apache-2.0
// A host without exceptions reads the outside world through the forms that return a Result.
#include <optional>

#include <simgr/serve.hpp>

using Model = simgr::baselines::SasRec;

std::optional<Model> try_open(const char* path) {
  auto model = simgr::io::ModelFile<Model>::try_load(path);
  if (!model) {
    return std::nullopt;
  }
  return std::move(model).value();
}
