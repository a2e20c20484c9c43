// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <simgr_cli/kind.hpp>

#include <simgr/io/checkpoint.hpp>
#include <simgr/io/model_file.hpp>

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
  const auto text = [&](const char* key) {
    const std::string* found = checkpoint.find_text(key);
    return found == nullptr ? std::string() : *found;
  };
  // A program's model.save() notes the types alone, and several kinds may be of one type: then the
  // first of them will do, unless the file has a name.
  const std::string type = text(simgr::io::type_key), loss = text(simgr::io::loss_key),
                    name = text(kind_key);
  const ModelKind* found = nullptr;
  for (const ModelKind* kind : all_kinds()) {
    const bool fits = type.empty() ? kind->name == name : kind->type == type && kind->loss == loss;
    if (fits && (found == nullptr || kind->name == name)) {
      found = kind;
    }
  }
  if (found == nullptr) {
    throw simgr::DataError(
        type.empty() && name.empty()
            ? "the file does not say which model it holds"
            : "it holds a model of a type that this program does not have: " +
                  (type.empty() ? name : type + (loss.empty() ? "" : " > " + loss)),
        {.file = path});
  }
  return {found, found->load(checkpoint), text(data_key)};
}

}  // namespace simgr_cli
