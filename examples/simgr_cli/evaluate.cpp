// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/json_line.hpp>

#include <simgr/eval/svg.hpp>

namespace simgr_cli {

simgr::ranker::Seen seen_named(const std::string& name) {
  const auto names = names_of(simgr::ranker::Seen{});
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw UsageError("--seen: expected keep, zero or remove, found " + name);
  }
  return static_cast<simgr::ranker::Seen>(found - names.begin());
}

std::string seen_text(simgr::ranker::Seen seen) {
  using simgr::ranker::Seen;
  return seen == Seen::keep   ? "seen items kept"
         : seen == Seen::zero ? "scores of seen items set to 0"
                              : "seen items removed";
}

void require_same_data(const DataFolder& folder, Index items, const std::string& fitted_on,
                       const std::string& file) {
  if (folder.items() != items) {
    throw simgr::DataError("expected the " + std::to_string(items) + " items of the model, found " +
                               std::to_string(folder.items()),
                           {.file = folder.path});
  }
  if (!fitted_on.empty() && fitted_on != folder.fingerprint) {
    std::fprintf(stderr,
                 "warning: these are not the data that the model was fitted on (fingerprint %s, "
                 "that of %s %s): it may have seen what it is tested on\n",
                 folder.fingerprint.c_str(), file.c_str(), fitted_on.c_str());
  }
}

void evaluate(const EvaluateOptions& options) {
  const simgr::eval::EvaluateOptions how{.seen = seen_named(options.seen),
                                         .cutoffs = {1, 5, 10, 20},
                                         .half_ties = options.rank == "half-tie",
                                         .shards = 4 * threads_or_all(options.threads)};
  const auto [kind, model, fitted_on, making] =
      open_model(options.file, settings_of_texts(options.set), options.as);
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  const DataFolder folder = read_folder(options.data, model->catalogue().items);
  require_same_data(folder, model->catalogue().items, fitted_on, options.file);
  const auto& cases = options.split == "validation" ? folder.split.validation : folder.split.test;
  const simgr::eval::Metrics metrics = model->evaluate(cases, how, pool);
  const auto at = [&](Index k) -> const simgr::eval::MetricsAt& { return metrics.at(k); };
  const simgr::eval::Spread& lists = at(10).lists;
  if (options.json) {
    JsonLine line;
    line.add("model", kind->name);
    line.add("users", metrics.users);
    line.add("items", metrics.items);
    for (const Index k : {1, 5, 10, 20}) { line.add("hr@" + std::to_string(k), at(k).all.hr); }
    for (const Index k : {5, 10, 20}) { line.add("ndcg@" + std::to_string(k), at(k).all.ndcg); }
    line.add("mrr", metrics.mrr);
    line.add("coverage@10", lists.coverage);
    line.add("entropy@10", lists.entropy);
    line.add("entropy_normalised@10", lists.entropy_normalised);
    line.add("gini@10", lists.gini);
    line.add("ties", metrics.ties);
    line.add("seconds", metrics.seconds);
    std::cout << line.text() << "\n";
    return;
  }
  std::printf("%s on %s: %td users, %td items, %s split, seen items: %s\n", kind->name.c_str(),
              options.data.c_str(), metrics.users, metrics.items, options.split.c_str(),
              options.seen.c_str());
  std::printf("  %-8s %8s %8s %8s %8s\n", "", "@1", "@5", "@10", "@20");
  std::printf("  %-8s %8.4f %8.4f %8.4f %8.4f\n", "HR", at(1).all.hr, at(5).all.hr, at(10).all.hr,
              at(20).all.hr);
  std::printf("  %-8s %8.4f %8.4f %8.4f %8.4f\n", "NDCG", at(1).all.ndcg, at(5).all.ndcg,
              at(10).all.ndcg, at(20).all.ndcg);
  // Lists rank no more than they hold.
  std::printf("  MRR %s (full ranking)   ties %td   %.2f s\n",
              std::isfinite(metrics.mrr) ? simgr::eval::fixed(metrics.mrr, 4).c_str() : "-",
              metrics.ties, metrics.seconds);
  std::printf("  lists of 10: coverage %.4f   entropy %.4f nats (%.4f of ln N)   Gini %.4f\n",
              lists.coverage, lists.entropy, lists.entropy_normalised, lists.gini);
}

}  // namespace simgr_cli
