// SPDX-License-Identifier: Apache-2.0
// simgr: train, evaluate and serve recommenders by similarity ranking from the command line.

#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include <CLI/CLI.hpp>
#include <simgr_cli/commands.hpp>

#include <simgr/version.hpp>

namespace {

using namespace simgr_cli;

void add_training(CLI::App& command, TrainingOptions& training) {
  command.add_option("--epochs", training.epochs, "passes over the training sequences")
      ->check(CLI::Range(1, 1000000));
  command.add_option("--seed", training.seed, "of weights, order, dropout and negatives");
  command.add_option("--set", training.set, "a setting by its dotted name: encoder.dropout=0.3")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}
void add_threads(CLI::App& command, Index& threads) {
  command.add_option("--threads", threads, "threads; default: all of the machine")
      ->check(CLI::Range(1, 1024));
}
void add_ids(CLI::App& command, IdSource& ids) {
  auto* vectors = command.add_option("--text-vectors", ids.text_vectors,
                                     "item vectors, .npy or .npy.gz; default: those of the data "
                                     "folder, else TF-IDF of the texts");
  command.add_option("--ids", ids.ids, "semantic ids made by tokenize")->excludes(vectors);
}

/// What ends up on standard error is one line, whatever the message holds.
int fail(const char* what, int code) {
  std::string line = what;
  for (char& c : line) { c = c == '\n' || c == '\r' ? ' ' : c; }
  std::fflush(stdout);
  std::fprintf(stderr, "simgr: %s\n", line.c_str());
  return code;
}

int run(int argc, char** argv) {
  CLI::App app("Recommendation by similarity ranking", "simgr");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::to_string(SIMGR_VERSION_MAJOR) + "." +
                                        std::to_string(SIMGR_VERSION_MINOR) + "." +
                                        std::to_string(SIMGR_VERSION_PATCH));

  FitOptions fit_options;
  CLI::App* fit_command = app.add_subcommand("fit", "train a model and save it");
  std::string models;
  for (const ModelKind* kind : all_kinds()) {
    models += "\n  " + kind->name +
              std::string(16 - std::min<std::size_t>(15, kind->name.size()), ' ') + kind->summary;
  }
  fit_command->footer("Models:" + models);
  fit_command->add_option("MODEL", fit_options.model, "one of the models below")->required();
  fit_command->add_option("--data", fit_options.data, "folder with sequences.tsv[.gz]")->required();
  fit_command->add_option("--out", fit_options.out, "the model file")->required();
  add_ids(*fit_command, fit_options.ids);
  add_training(*fit_command, fit_options.training);
  add_threads(*fit_command, fit_options.training.threads);
  fit_command->add_option("--log", fit_options.log, "one JSON line an epoch");
  fit_command->add_flag("--resume", fit_options.resume,
                        "go on from the state beside the model file, where there is one");
  fit_command->callback([&] { fit(fit_options); });

  EvaluateOptions evaluate_options;
  CLI::App* evaluate_command = app.add_subcommand("evaluate", "measure a model on held-out items");
  evaluate_command->add_option("FILE", evaluate_options.file, "a model file")->required();
  evaluate_command->add_option("--data", evaluate_options.data, "folder with sequences.tsv[.gz]")
      ->required();
  evaluate_command->add_option("--split", evaluate_options.split, "test or validation")
      ->check(CLI::IsMember({"test", "validation"}));
  evaluate_command->add_option("--seen", evaluate_options.seen, "items of the history")
      ->check(CLI::IsMember({"keep", "zero", "remove"}));
  evaluate_command
      ->add_option("--rank", evaluate_options.rank,
                   "place in the served list, or its mean over ties")
      ->check(CLI::IsMember({"served", "half-tie"}));
  evaluate_command->add_flag("--json", evaluate_options.json, "one JSON line");
  add_threads(*evaluate_command, evaluate_options.threads);
  evaluate_command->callback([&] { evaluate(evaluate_options); });

  RecommendCommand recommend_options;
  CLI::App* recommend_command = app.add_subcommand("recommend", "the best items for a history");
  recommend_command->add_option("FILE", recommend_options.file, "a model file")->required();
  recommend_command
      ->add_option("--history", recommend_options.history,
                   "items, oldest first, by id or key: \"3 17 9\"")
      ->required();
  recommend_command->add_option("--k", recommend_options.k, "places of the list")
      ->check(CLI::Range(Index{1}, Index{1} << 31));
  recommend_command
      ->add_option("--seen", recommend_options.seen, "items of the history; removed unless said")
      ->check(CLI::IsMember({"keep", "zero", "remove"}));
  recommend_command->add_option("--allow", recommend_options.allow, "list only these items");
  recommend_command->add_option("--deny", recommend_options.deny, "never list these items");
  recommend_command->add_flag("--json", recommend_options.json, "one JSON line");
  recommend_command->callback([&] { recommend(recommend_options); });

  TokenizeOptions tokenize_options;
  CLI::App* tokenize_command =
      app.add_subcommand("tokenize", "make semantic ids and report collisions and usage");
  tokenize_command->add_option("--data", tokenize_options.data, "folder with sequences.tsv[.gz]")
      ->required();
  tokenize_command->add_option("--text-vectors", tokenize_options.text_vectors,
                               "item vectors, .npy or .npy.gz");
  tokenize_command->add_option("--method", tokenize_options.method)
      ->check(CLI::IsMember({"residual-kmeans"}));
  tokenize_command->add_option("--levels", tokenize_options.levels, "digits of an id")
      ->check(CLI::Range(1, 64));
  tokenize_command->add_option("--codes", tokenize_options.codes, "codes of a digit")
      ->check(CLI::Range(1, 1 << 20));
  tokenize_command->add_option("--iterations", tokenize_options.iterations, "of k-means")
      ->check(CLI::Range(0, 1000000));
  tokenize_command->add_option("--seed", tokenize_options.seed, "of k-means");
  tokenize_command
      ->add_option("--collision", tokenize_options.collision,
                   "items with equal digits: one digit more, the nearest free id, or as they are")
      ->check(CLI::IsMember({"digit", "nearest-free", "keep"}));
  tokenize_command->add_option("--out", tokenize_options.out, "the file of ids")->required();
  add_threads(*tokenize_command, tokenize_options.threads);
  tokenize_command->callback([&] { tokenize(tokenize_options); });

  CompareOptions compare_options;
  CLI::App* compare_command =
      app.add_subcommand("compare", "train several models on the same data and report");
  compare_command->add_option("--data", compare_options.data, "folder with sequences.tsv[.gz]")
      ->required();
  compare_command->add_option("--models", compare_options.models, "a,b,…")
      ->delimiter(',')
      ->required();
  compare_command
      ->add_option("--out", compare_options.out, "folder of the models, kept and resumed")
      ->required();
  compare_command->add_option("--report", compare_options.report, "default: report.html in --out");
  add_ids(*compare_command, compare_options.ids);
  add_training(*compare_command, compare_options.training);
  add_threads(*compare_command, compare_options.training.threads);
  compare_command->callback([&] { compare(compare_options); });

  QuickstartOptions quickstart_options;
  CLI::App* quickstart_command = app.add_subcommand(
      "quickstart", "train and compare all models on the embedded catalogue, in 90 seconds");
  quickstart_command->add_option("--out", quickstart_options.out, "folder of models and report");
  add_threads(*quickstart_command, quickstart_options.threads);
  quickstart_command->callback([&] { quickstart(quickstart_options); });

  std::string inspected;
  CLI::App* inspect_command = app.add_subcommand("inspect", "what a model file holds");
  inspect_command->add_option("FILE", inspected, "a model file")->required();
  inspect_command->callback([&] { inspect(inspected); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) { return fail(error.what(), 2); }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const simgr_cli::UsageError& error) {
    return fail(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", 1);
  } catch (const std::exception& error) { return fail(error.what(), 1); }
}
