// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstdio>
#include <string_view>

#include <simgr_cli/relations.hpp>

#include <simgr/io/neighbours.hpp>
#include <simgr/train/relations.hpp>

namespace simgr_cli {

namespace {

struct WeighedTask {
  std::string name;
  double weight = 1;
};

std::vector<WeighedTask> tasks_of(const std::string& mix) {
  std::vector<WeighedTask> tasks;
  std::string_view rest = mix;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const std::size_t equals = std::min(part.find('='), part.size());
    WeighedTask task{std::string(part.substr(0, equals))};
    if (equals < part.size()) {
      const std::string_view number = part.substr(equals + 1);
      const auto end = std::from_chars(number.data(), number.data() + number.size(), task.weight);
      if (end.ec != std::errc{} || end.ptr != number.data() + number.size() || task.weight < 0) {
        throw UsageError("--tasks " + task.name + ": expected a weight, found \"" +
                         std::string(number) + "\"");
      }
    }
    if (task.name != "collaborative" && task.name != "semantic") {
      throw UsageError("--tasks: expected collaborative or semantic, found \"" + task.name + "\"");
    }
    tasks.push_back(std::move(task));
  }
  return tasks;
}

bool asked_for(const std::string& mix, const std::string& name) {
  bool asked = false;
  for (const WeighedTask& task : tasks_of(mix)) {
    asked = task.name == name ? task.weight > 0 : asked;
  }
  return asked;
}

}  // namespace

std::vector<Setting> settings_of_tasks(const TaskOptions& options, const ModelKind& kind) {
  std::vector<Setting> settings;
  for (const WeighedTask& task : tasks_of(options.mix)) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, task.weight);
    settings.push_back({task.name, std::string(text, end.ptr)});
  }
  const std::string unused =
      !options.collaborative.empty() && !asked_for(options.mix, "collaborative") ? "collaborative"
      : !options.semantic.empty() && !asked_for(options.mix, "semantic")         ? "semantic"
                                                                                 : "";
  if (!unused.empty()) {
    throw UsageError("--" + unused + "-neighbours: no task reads them; ask for --tasks " + unused +
                     "=1");
  }
  if (!settings.empty() && !kind.learns_neighbours) {
    std::string names;
    for (const ModelKind* each : all_kinds()) {
      names += each->learns_neighbours ? (names.empty() ? "" : ", ") + each->name : "";
    }
    throw UsageError("--tasks: " + kind.name +
                     " learns the next item alone; these learn more: " + names);
  }
  return settings;
}

simgr::Relations relations_of(const TaskOptions& options, Index keep, const DataFolder& folder,
                              const IdSource& source, simgr::cpu::ThreadPool& pool) {
  simgr::Relations relations;
  if (asked_for(options.mix, "semantic")) {
    if (!options.semantic.empty()) {
      relations.semantic = simgr::io::read_neighbours(options.semantic, folder.items());
    } else {
      const auto vectors = text_vectors_of(folder, source.text_vectors, pool);
      relations.semantic = simgr::train::semantic_neighbours(vectors.view(), keep, pool);
    }
  }
  if (asked_for(options.mix, "collaborative")) {
    if (!options.collaborative.empty()) {
      relations.collaborative = simgr::io::read_neighbours(options.collaborative, folder.items());
    } else {
      relations.collaborative = simgr::train::collaborative_neighbours(
          folder.split.train, folder.items(), {.keep = keep});
      if (relations.semantic.sequences() > 0) {
        relations.collaborative =
            simgr::train::backfilled(relations.collaborative, relations.semantic, keep);
      }
    }
  }
  for (const auto& [name, lists] : {std::pair<const char*, const simgr::Ragged<ItemId>&>(
                                        "collaborative", relations.collaborative),
                                    {"semantic", relations.semantic}}) {
    if (lists.sequences() > 0) {
      Index none = 0;
      for (Index item = 0; item < lists.sequences(); ++item) {
        none += lists[item].empty() ? 1 : 0;
      }
      std::fprintf(stderr, "%s neighbours: %td of %td items have none\n", name, none,
                   lists.sequences());
    }
  }
  return relations;
}

}  // namespace simgr_cli
