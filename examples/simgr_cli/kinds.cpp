// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

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
bool add_kind_beside_quickstart(ModelKind kind) {
  kind.in_quickstart = false;
  return add_kind(std::move(kind));
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
      if (kind->reads_backbone) {
        throw UsageError(name + " is " + kind->over +
                         " over a language model; give its folder by --backbone");
      }
      return *kind;
    }
    names += kind->reads_backbone ? "" : " " + kind->name;
  }
#if defined(SIMGR_CLI_WITHOUT_SEQUENTIAL_MODELS)
  names += "; this tool was built without GRU4Rec, BERT4Rec and their like, which "
           "-DSIMGR_CLI_SEQUENTIAL_MODELS=ON has";
#endif
  throw UsageError("no model is named \"" + name + "\"; there are:" + names);
}

namespace {
std::string text_of(const simgr::io::Checkpoint& checkpoint, const char* key) {
  const std::string* found = checkpoint.find_text(key);
  return found == nullptr ? std::string() : *found;
}

double number_of(const simgr::io::Checkpoint& checkpoint, const char* key) {
  const std::string text = text_of(checkpoint, key);
  double number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = end.ec == std::errc{} && end.ptr == text.data() + text.size() && number >= 0;
  return good ? number : simgr::eval::absent;
}

/// Whether the weights of a file are those of a kind, whatever makes its lists.
bool holds(const simgr::io::Checkpoint& checkpoint, const ModelKind& kind) {
  const std::string type = text_of(checkpoint, simgr::io::type_key);
  return type.empty() ? kind.name == text_of(checkpoint, kind_key)
                      : kind.type == type && kind.loss == text_of(checkpoint, simgr::io::loss_key);
}
}  // namespace

const ModelKind* kind_of_file(const simgr::io::Checkpoint& checkpoint) {
  // A program's model.save() notes the types alone, and several kinds may be of one type: then the
  // one of the file's name is meant, else the first that makes lists in its way, else the first.
  const std::string ranker = text_of(checkpoint, simgr::io::ranker_key),
                    name = text_of(checkpoint, kind_key);
  const auto closeness = [&](const ModelKind& kind) {
    return (kind.name == name ? 2 : 0) + (kind.ranker == ranker ? 1 : 0);
  };
  const ModelKind* found = nullptr;
  for (const ModelKind* kind : all_kinds()) {
    if (holds(checkpoint, *kind) && (found == nullptr || closeness(*kind) > closeness(*found))) {
      found = kind;
    }
  }
  return found;
}

OpenedModel open_model(const std::string& path, const std::vector<Setting>& settings,
                       const std::string& as) {
  const auto checkpoint = simgr::io::Checkpoint::read(path);
  const ModelKind* kind = kind_of_file(checkpoint);
  if (kind != nullptr && !as.empty()) {
    std::string names;
    const ModelKind* other = nullptr;
    for (const ModelKind* each : all_kinds()) {
      if (holds(checkpoint, *each)) {
        names += " " + each->name;
        other = each->name == as ? each : other;
      }
    }
    if (other == nullptr) {
      throw UsageError("--as " + as + ": the weights of " + path + " serve as" + names);
    }
    kind = other;
  }
  if (kind == nullptr) {
    const std::string type = text_of(checkpoint, simgr::io::type_key),
                      loss = text_of(checkpoint, simgr::io::loss_key),
                      name = type.empty() ? text_of(checkpoint, kind_key)
                                          : type + (loss.empty() ? "" : " > " + loss);
    throw simgr::DataError(
        name.empty() ? "the file does not say which model it holds"
                     : "it holds a model of a type that this program does not have: " + name,
        {.file = path});
  }
  const std::string ranker = text_of(checkpoint, simgr::io::ranker_key);
  if (as.empty() && !ranker.empty() && ranker != kind->ranker) {  // a program's own
    std::fprintf(stderr,
                 "%s: saved with %s, which no model of its type has here; %s makes its lists\n",
                 path.c_str(), ranker.c_str(), kind->ranker.c_str());
  }
  return {kind, kind->load(checkpoint, settings), text_of(checkpoint, data_key),
          Making{number_of(checkpoint, "epochs"), number_of(checkpoint, "best_epoch"),
                 number_of(checkpoint, "validation_ndcg@10"),
                 number_of(checkpoint, configurations_key), number_of(checkpoint, epochs_key)}};
}

}  // namespace simgr_cli
