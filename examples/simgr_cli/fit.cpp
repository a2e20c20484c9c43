// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <thread>

#include <simgr_cli/backbone.hpp>
#include <simgr_cli/commands.hpp>

#include <simgr/train/progress.hpp>

namespace simgr_cli {

Index threads_or_all(Index threads) {
  return threads > 0 ? threads
                     : std::max<Index>(1, static_cast<Index>(std::thread::hardware_concurrency()));
}

std::vector<Setting> settings_of_texts(const std::vector<std::string>& texts) {
  std::vector<Setting> all;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError("--set " + text + ": expected name=value");
    }
    all.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return all;
}

std::vector<Setting> TrainingOptions::settings() const {
  std::vector<Setting> all;
  if (epochs) {
    all.push_back({"epochs", std::to_string(*epochs)});
  }
  if (seed) {
    all.push_back({"seed", std::to_string(*seed)});
  }
  const auto named = settings_of_texts(set);
  all.insert(all.end(), named.begin(), named.end());
  return all;
}

void list_settings(const std::string& model) {
  const std::vector<const ModelKind*> kinds = all_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const ModelKind* each) { return each->name == model; });
  const ModelKind& kind = found == kinds.end() ? kind_named(model) : **found;
  const std::vector<simgr::FieldText> fields = kind.settings();
  if (fields.empty()) {
    std::cout << kind.name << ": " << kind.summary << "; it has no settings\n";
    return;
  }
  constexpr std::size_t widest = 24;  // what is wider, a list of words, stands with the meaning
  std::size_t name = 0, value = 7, range = 5;
  for (const simgr::FieldText& field : fields) {
    name = std::max(name, field.name.size());
    value = std::max(value, field.value.size());
    range = std::max(range, field.range.size() > widest ? 0 : field.range.size());
  }
  const auto padded = [](std::string text, std::size_t width) {
    text.resize(std::max(width, text.size()), ' ');
    return text;
  };
  std::cout << kind.name << ": " << kind.summary << "\n\n"
            << padded("--set NAME=", name) << "  " << padded("default", value) << "  "
            << padded("range", range) << "  meaning\n";
  for (const simgr::FieldText& field : fields) {
    const bool wide = field.range.size() > widest;
    std::cout << padded(field.name, name) << "  " << padded(field.value, value) << "  "
              << padded(wide ? "" : field.range, range) << "  " << field.meaning
              << (wide ? ": " + field.range : "") << "\n";
  }
  if (!kind.space.empty()) {
    std::cout << "\nsearched by 'simgr search': " << kind.space << "\n";
  }
}

BegunFit begin_fit(const FitOptions& options) {
  FitRequest request;
  if (!options.backbone.given() && !options.backbone.adapter.empty()) {
    throw UsageError("--adapter: it stands in a language model; give its folder by --backbone");
  }
  if (!options.backbone.given() && options.backbone.precision == "bf16") {
    throw UsageError("--precision bf16: it is of a frozen language model; give its folder by "
                     "--backbone, or ask for mixed");
  }
  if (options.backbone.given()) {
    request.backbone = open_backbone(options.backbone);
    request.backbone_name =
        std::filesystem::path(options.backbone.folder + "/.").parent_path().filename().string();
  }
  const ModelKind& kind = request.backbone
                              ? kind_over(options.model, options.backbone, *request.backbone)
                              : kind_named(options.model);
  if (!options.warm_start.empty() && !kind.warm_starts) {
    throw UsageError("--warm-start: " + kind.name + " does not begin with given weights");
  }
  request.out = options.out;
  request.warm_start = options.warm_start;
  require_adapters(options.backbone, kind);
  if (!options.backbone.lora.empty()) {
    request.settings = settings_of_lora(options.backbone.lora, kind);
  }
  if (options.backbone.precision == "mixed") {
    request.settings.push_back({"precision", "mixed"});
  }
  const std::vector<Setting> tasks = settings_of_tasks(options.tasks, kind);
  request.settings.insert(request.settings.end(), tasks.begin(), tasks.end());
  const std::vector<Setting> named = options.training.settings();
  request.settings.insert(request.settings.end(), named.begin(), named.end());
  kind.check(request.settings);
  if (request.backbone && kind.needs.ids && !options.ids.ids.empty()) {
    request.words_of_digits = words_of_digits(*request.backbone, options.ids.ids);
  }
  require_output(options.out, Output::model);
  return {kind, std::move(request)};
}

simgr::Catalogue catalogue_for(const FitOptions& options, const BegunFit& begun,
                               const DataFolder& folder, simgr::cpu::ThreadPool& pool) {
  simgr::Catalogue catalogue = catalogue_of(folder, options.ids, begun.kind.needs, pool);
  if (begun.request.backbone) {
    catalogue.prompt = prompt_of(*begun.request.backbone, options.backbone, folder);
  }
  Index neighbours = 10;  // that are made: at least as many as are taught
  for (const Setting& setting : begun.request.settings) {
    if (setting.name == "neighbours") {
      neighbours = std::max<Index>(neighbours, std::stoll(setting.value));  // kind.check saw it
    }
  }
  catalogue.relations = relations_of(options.tasks, neighbours, folder, options.ids, pool);
  return catalogue;
}

void fit(const FitOptions& options) {
  BegunFit begun = begin_fit(options);
  const ModelKind& kind = begun.kind;
  FitRequest& request = begun.request;
  request.log = options.log;
  request.resume = options.resume;
  require_output(state_path(options.out), Output::model);
  if (!options.log.empty()) {
    require_output(options.log, Output::log);
  }
  simgr::cpu::ThreadPool pool(threads_or_all(options.training.threads));
  const DataFolder folder = read_folder(options.data);
  request.data_fingerprint = folder.fingerprint;
  simgr::Catalogue catalogue = catalogue_for(options, begun, folder, pool);
  simgr::train::Progress<> progress(std::cerr, simgr::train::is_terminal(2));
  request.on_step = [&](const simgr::train::StepReport& report) { progress(report); };
  request.on_epoch = [&](const simgr::train::EpochReport& report) {
    progress(report);
    return true;
  };
  const Fitted fitted = kind.fit(std::move(catalogue), folder.split, request, pool);
  progress.finish();
  const simgr::train::FitResult& result = fitted.result;
  std::cout << kind.name << ": " << result.epochs
            << (result.epochs == 1 ? " epoch, " : " epochs, ");
  if (result.best_validation_ndcg10) {
    std::cout << "best " << result.best_epoch << " with validation NDCG@10 "
              << simgr::train::detail::fixed(*result.best_validation_ndcg10, 4) << " ("
              << seen_text(result.seen) << ")";
  } else {
    std::cout << "none evaluated";
  }
  std::cout << ", " << simgr::train::detail::fixed(result.seconds, 1) << " s of training; saved "
            << options.out << "\n";
}

}  // namespace simgr_cli
