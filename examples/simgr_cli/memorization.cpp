// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include <simgr_cli/json_line.hpp>
#include <simgr_cli/memorization.hpp>

#include <simgr/data/rankings.hpp>
#include <simgr/eval/svg.hpp>
#include <simgr/io/atomic_file.hpp>

namespace simgr_cli {

namespace {

namespace analysis = simgr::analysis;
using simgr::eval::fixed;
using simgr::eval::grouped;

std::string json_of(const analysis::MemGenCounts& counts) {
  JsonLine line;
  line.add("items", counts.items);
  line.add("memorization", counts.memorization);
  line.add("generalization", counts.generalization);
  line.add("uncategorized", counts.uncategorized);
  for (std::size_t logic = 0; logic < counts.by_hop.size(); ++logic) {
    std::string hops;
    for (const Index count : counts.by_hop[logic]) {
      hops += (hops.empty() ? "" : ",") + std::to_string(count);
    }
    line.add_raw(analysis::names_of_generalizations[logic], "[" + hops + "]");
  }
  return line.text();
}

std::string json_of(const StudiedFile& system, const MemorizationResults& results) {
  const auto& found = system.numbers.found;
  const std::string k = "@" + std::to_string(found.k);
  JsonLine line;
  line.add("system", system.name);
  line.add("kind", system.kind);
  if (!system.file.empty()) {
    line.add("file", system.file);
  }
  line.add("mem_ratio" + k, found.ratio);
  line.add("recall" + k, found.all.recall);
  line.add("recall" + k + "_m", found.m.recall);
  line.add("recall" + k + "_n", found.n.recall);
  line.add("ndcg" + k, found.all.ndcg);
  line.add("ndcg" + k + "_m", found.m.ndcg);
  line.add("ndcg" + k + "_n", found.n.ndcg);
  line.add("short_lists", found.short_lists);
  std::string ratios;
  for (const double ratio : system.numbers.ratio_at) {
    ratios += (ratios.empty() ? "" : ",") + (std::isfinite(ratio) ? fixed(ratio, 6) : "null");
  }
  line.add_raw("mem_ratio" + k + "_by_hop", "[" + ratios + "]");
  line.add_raw("memgen_labels", json_of(system.numbers.labels));
  if (system.gain) {
    JsonLine gain;
    gain.add("over", results.over);
    gain.add("recall" + k, system.gain->all);
    gain.add("recall" + k + "_m", system.gain->m);
    gain.add("recall" + k + "_n", system.gain->n);
    gain.add("share_m", system.gain->share_m);
    gain.add("share_n", system.gain->share_n);
    line.add_raw("gain", gain.text());
  }
  return line.text();
}

void print_json(const MemorizationResults& results) {
  JsonLine line;
  line.add("users", results.users);
  line.add("items", results.items);
  line.add("k", results.options.k);
  line.add("group_m", results.group_m);
  line.add("group_m_share", results.group_m_share());
  line.add("mean_candidates", results.mean_candidates);
  line.add("memgen", results.targets.memorization);
  line.add("memgen_share", results.targets.share(results.targets.memorization));
  line.add("distinct_transitions", results.transitions);
  line.add_raw("memgen_labels", json_of(results.targets));
  const auto add = [&](const char* key, const std::vector<StudiedFile>& systems) {
    std::string list;
    for (const StudiedFile& system : systems) {
      list += (list.empty() ? "" : ",") + json_of(system, results);
    }
    line.add_raw(key, "[" + list + "]");
  };
  add("systems", results.systems);
  add("tables", results.tables);
  std::cout << line.text() << "\n";
}

void print_text(const MemorizationResults& results) {
  const auto& targets = results.targets;
  const Index k = results.options.k;
  std::printf(
      "%s: %s users of the test split, %s distinct transitions in training\n"
      "group M, whose target is one of the %.2f candidates of one hop: %s users, %.2f %%\n"
      "targets by MemGen: memorization %s (%.2f %%), generalization %.2f %%, uncategorized "
      "%.2f %%\n\n",
      results.data.c_str(), grouped(results.users).c_str(), grouped(results.transitions).c_str(),
      results.mean_candidates, grouped(results.group_m).c_str(), 100 * results.group_m_share(),
      grouped(targets.memorization).c_str(), 100 * targets.share(targets.memorization),
      100 * targets.share(targets.generalization), 100 * targets.share(targets.uncategorized));
  std::size_t longest = 12;
  for (const StudiedFile* one : results.all()) { longest = std::max(longest, one->name.size()); }
  const int width = static_cast<int>(longest);
  std::printf("%-*s %8s %8s %8s %8s %8s %10s\n", width, ("at " + std::to_string(k)).c_str(),
              "MemRatio", "recall", "NDCG", "R in M", "R in N", "memorized");
  for (const StudiedFile* one : results.all()) {
    const auto& found = one->numbers.found;
    const auto& labels = one->numbers.labels;
    std::printf("%-*s %8.4f %8.4f %8.4f %8s %8s %8s %%\n", width, one->name.c_str(), found.ratio,
                found.all.recall, found.all.ndcg, fixed(found.m.recall, 4).c_str(),
                fixed(found.n.recall, 4).c_str(),
                fixed(100 * labels.share(labels.memorization), 2).c_str());
  }
  if (!results.over.empty()) {
    std::printf("\ngain in recall over %s, in M and in N, and the part of it that is of M:\n",
                results.over.c_str());
  }
  for (const StudiedFile* one : results.all()) {
    if (one->gain) {
      std::printf("%-*s %+8.4f %8s %8s %8s %%\n", width, one->name.c_str(), one->gain->all,
                  fixed(one->gain->m, 4).c_str(), fixed(one->gain->n, 4).c_str(),
                  fixed(100 * one->gain->share_m, 1).c_str());
    }
  }
}

/// The name of a file alone, or its path where two are named alike.
std::string short_name(const std::string& file, const std::vector<std::string>& files) {
  const auto name_of = [](const std::string& path) {
    return std::filesystem::path(path).filename().string();
  };
  const auto alike = std::count_if(files.begin(), files.end(), [&](const std::string& other) {
    return name_of(other) == name_of(file);
  });
  return alike > 1 ? file : name_of(file);
}

/// Before anything is measured.
void require_system(const std::string& against, const std::vector<std::string>& files) {
  const bool known = against.empty() || against == "most popular" || against == "one hop" ||
                     std::any_of(files.begin(), files.end(), [&](const std::string& file) {
                       return against == file || against == short_name(file, files);
                     });
  if (!known) {
    throw UsageError(
        "--against: expected one of the files given, 'most popular' or 'one hop', found " +
        against);
  }
}

/// Gains over the system that is asked for, else over the first of several, else over popular items.
void compare_systems(MemorizationResults& results, const std::string& against) {
  const auto all = results.all();
  const StudiedFile* over = nullptr;
  for (const StudiedFile* one : all) {
    if (!against.empty() && (one->file == against || one->name == against)) {
      over = one;
    }
  }
  if (over == nullptr) {
    over = results.systems.size() > 1 ? all.front() : &results.tables.front();
  }
  results.over = over->name;
  for (auto* systems : {&results.systems, &results.tables}) {
    for (StudiedFile& system : *systems) {
      if (&system != over) {
        system.gain = analysis::recall_gain(system.numbers.found, over->numbers.found);
      }
    }
  }
}

}  // namespace

void analyse_memorization(const MemorizationOptions& options) {
  std::vector<std::string> files = options.models;
  files.insert(files.end(), options.rankings.begin(), options.rankings.end());
  require_system(options.against, files);
  if (!options.report.empty()) {
    require_output(options.report, Output::report);
  }
  std::vector<OpenedModel> models;
  for (const std::string& file : options.models) { models.push_back(open_model(file)); }
  const DataFolder folder =
      read_folder(options.data, models.empty() ? 0 : models.front().model->catalogue().items);
  for (std::size_t m = 0; m < models.size(); ++m) {
    require_same_data(folder, models[m].model->catalogue().items, models[m].data_fingerprint,
                      options.models[m]);
  }
  MemorizationResults results;
  results.data = std::filesystem::path(options.data).lexically_normal().filename().string();
  results.options = {.candidates = {.last = options.last,
                                    .most = options.candidates,
                                    .keep_seen = options.candidates_seen == "keep"},
                     .k = options.k,
                     .hops = options.hops};
  analysis::MemorizationStudy study(folder.split, results.options);
  results.users = study.users();
  results.items = folder.items();
  results.group_m = study.group_m();
  results.transitions = study.distinct_transitions();
  results.mean_candidates = study.mean_candidates();
  results.targets = study.target_labels();

  const auto add = [&](const std::string& file, const std::string& kind,
                       const simgr::Ragged<ItemId>& lists) {
    results.systems.push_back({short_name(file, files), file, kind, study.measure(lists), {}});
    if (const Index few = results.systems.back().numbers.found.short_lists; few > 0) {
      std::fprintf(stderr,
                   "%s: %td of %td users have fewer than %td items: places left empty are no hits "
                   "and not memorized\n",
                   file.c_str(), few, results.users, options.k);
    }
  };
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  for (std::size_t m = 0; m < models.size(); ++m) {
    add(options.models[m], models[m].kind->name,
        models[m].model->lists(folder.split.test, options.k, {.seen = seen_named(options.seen)},
                               pool));
  }
  for (const std::string& file : options.rankings) {
    add(file, "rankings", simgr::data::read_rankings(file, folder.interactions, folder.split.test));
  }
  results.tables.push_back({"most popular", {}, "table", study.measure(study.popular()), {}});
  results.tables.push_back({"one hop", {}, "table", study.measure(study.candidates()), {}});
  compare_systems(results, options.against);
  if (!options.report.empty()) {
    if (const simgr::Failure failure =
            simgr::io::try_replace_file(options.report, memorization_page(results))) {
      simgr::raise(*failure);
    }
  }
  (options.json ? print_json : print_text)(results);
}

}  // namespace simgr_cli
