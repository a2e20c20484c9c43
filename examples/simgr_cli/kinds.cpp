// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <simgr_cli/kind.hpp>

#include <simgr/io/checkpoint.hpp>

namespace simgr_cli {

namespace {
std::vector<ModelKind>& table() {
  static std::vector<ModelKind> kinds;
  return kinds;
}
}  // namespace

bool add_kind(ModelKind kind) {
  table().push_back(std::move(kind));
  return true;
}

std::vector<const ModelKind*> all_kinds() {
  std::vector<const ModelKind*> kinds;
  for (const ModelKind& kind : table()) { kinds.push_back(&kind); }
  std::sort(kinds.begin(), kinds.end(),
            [](const ModelKind* a, const ModelKind* b) { return a->place < b->place; });
  return kinds;
}

const ModelKind& kind_named(const std::string& name) {
  std::string names;
  for (const ModelKind* kind : all_kinds()) {
    if (kind->name == name) {
      return *kind;
    }
    names += " " + kind->name;
  }
  throw UsageError("no model is named \"" + name + "\"; there are:" + names);
}

OpenedModel open_model(const std::string& path) {
  const auto checkpoint = simgr::io::Checkpoint::read(path);
  const std::string* name = checkpoint.find_text(kind_key);
  if (name == nullptr) {
    throw simgr::DataError("the file does not say which model it holds; was it written by simgr?",
                           {.file = path});
  }
  for (const ModelKind* kind : all_kinds()) {
    if (kind->name == *name) {
      return {kind, kind->load(checkpoint)};
    }
  }
  throw simgr::DataError("it holds a model \"" + *name + "\", which this program does not have",
                         {.file = path});
}

}  // namespace simgr_cli
