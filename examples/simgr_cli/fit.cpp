// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <thread>

#include <simgr_cli/commands.hpp>

#include <simgr/train/progress.hpp>

namespace simgr_cli {

Index threads_or_all(Index threads) {
  return threads > 0 ? threads
                     : std::max<Index>(1, static_cast<Index>(std::thread::hardware_concurrency()));
}

std::vector<Setting> TrainingOptions::settings() const {
  std::vector<Setting> all;
  if (epochs) {
    all.push_back({"epochs", std::to_string(*epochs)});
  }
  if (seed) {
    all.push_back({"seed", std::to_string(*seed)});
  }
  for (const std::string& text : set) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError("--set " + text + ": expected name=value");
    }
    all.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return all;
}

void fit(const FitOptions& options) {
  const ModelKind& kind = kind_named(options.model);
  FitRequest request;
  request.out = options.out;
  request.settings = options.training.settings();
  request.log = options.log;
  request.resume = options.resume;
  kind.check(request.settings);
  if (const auto folder = std::filesystem::path(options.out).parent_path();
      !folder.empty() && !std::filesystem::is_directory(folder)) {
    throw simgr::IoError("there is no folder " + folder.string(), {.file = options.out});
  }
  simgr::cpu::ThreadPool pool(threads_or_all(options.training.threads));
  const DataFolder folder = read_folder(options.data);
  request.data_fingerprint = folder.fingerprint;
  simgr::Catalogue catalogue = catalogue_of(folder, options.ids, kind.needs_ids, pool);
  simgr::train::Progress<> progress(std::cerr, simgr::train::is_terminal(2));
  request.on_step = [&](const simgr::train::StepReport& report) { progress(report); };
  request.on_epoch = [&](const simgr::train::EpochReport& report) { progress(report); };
  const Fitted fitted = kind.fit(std::move(catalogue), folder.split, request, pool);
  progress.finish();
  const simgr::train::FitResult& result = fitted.result;
  std::cout << kind.name << ": " << result.epochs << " epochs, best " << result.best_epoch
            << " with validation NDCG@10 "
            << simgr::train::detail::fixed(result.best_validation_ndcg10, 4)
            << " (seen items kept), " << simgr::train::detail::fixed(result.seconds, 1)
            << " s of training; saved " << options.out << "\n";
}

}  // namespace simgr_cli
