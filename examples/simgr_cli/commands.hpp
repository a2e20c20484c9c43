// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <simgr_cli/backbone.hpp>
#include <simgr_cli/data_folder.hpp>
#include <simgr_cli/kind.hpp>
#include <simgr_cli/output.hpp>
#include <simgr_cli/relations.hpp>

// One function a command; options as the command line gave them. Each returns normally or throws:
// UsageError (exit 2) or simgr::Error (exit 1). Results go to standard output, how work goes to
// standard error.

namespace simgr_cli {

/// Errors  UsageError: a text that is not name=value
std::vector<Setting> settings_of_texts(const std::vector<std::string>& texts);

/// What fit, compare and quickstart share.
struct TrainingOptions {
  std::optional<Index> epochs;
  std::optional<std::int64_t> seed;
  std::vector<std::string> set;  // name=value
  Index threads = 0;             // 0: as many as the machine has

  /// Everything as settings: what is set by name comes last and wins.
  std::vector<Setting> settings() const;
};

struct ImportOptions {
  std::string table, out, user, item, time;
};
/// Makes a data folder from a table with one interaction a row.
void import_table(const ImportOptions& options);

struct FitOptions {
  std::string model, data, out, log;
  IdSource ids;
  BackboneOptions backbone;
  TaskOptions tasks;
  TrainingOptions training;
  std::string warm_start;  // a model file; empty: weights are drawn
  bool resume = false;
};
void fit(const FitOptions& options);

/// What a training needs, before the data: the model is known, the settings and the place of the
/// file are checked.
struct BegunFit {
  const ModelKind& kind;
  FitRequest request;
};
BegunFit begin_fit(const FitOptions& options);
/// What the model reads of the items.
simgr::Catalogue catalogue_for(const FitOptions& options, const BegunFit& begun,
                               const DataFolder& folder, simgr::cpu::ThreadPool& pool);

struct SearchOptions {
  FitOptions fit;
  std::string space;   // empty: the model's own
  std::string budget;  // 90s, 30m, 1h30m; empty: none
  Index trials = 0;    // 0: as many as the budget allows
  std::string method = "halving";
  bool json = false;
};
/// Trains many configurations, each a little, the better ones further, and saves the best.
void search(const SearchOptions& options);

struct ExportOptions {
  std::string file, backbone, out;
};
/// Writes the adapters of a trained model as a folder of Python's peft.
void export_adapters(const ExportOptions& options);

struct EvaluateOptions {
  std::string file, data, split = "test", seen = "keep", rank = "served";
  std::string as;                // a model that makes lists otherwise; empty: what the file says
  std::vector<std::string> set;  // name=value, of what lists are made with
  Index threads = 0;
  bool json = false;
};
void evaluate(const EvaluateOptions& options);

struct RecommendCommand {
  std::string file, history, deny, seen = "remove";
  std::optional<std::string> allow;  // empty text: no item at all
  Index k = 10;
  bool keys = false, json = false;
};
void recommend(const RecommendCommand& options);

struct TokenizeOptions {
  std::string data, text_vectors, collaborative_vectors, collaborative_neighbours, ids, out,
      method = "residual-kmeans", collision, fit_on = "all";
  std::optional<Index> levels, codes, iterations;
  std::optional<std::int64_t> seed;
  std::vector<std::string> set;  // name=value
  Index whiten = 0;              // principal coordinates of variance 1; 0: the vectors as they are
  Index threads = 0;
  bool json = false;
};
/// The values of --method.
std::vector<std::string> tokenizer_names();
void tokenize(const TokenizeOptions& options);

struct EmbedOptions {
  std::string backbone, data, out;
  std::string pooling;  // mean, first or last; empty: what the backbone's folder says
  Index longest = 0, threads = 0;
  bool unscaled = false, titles = false;
};
/// Makes vectors of the items' texts with a published language model.
void embed(const EmbedOptions& options);

struct CompareOptions {
  std::string data, out, report;
  Index users = 200;  // of whom every item is scored exactly
  std::vector<std::string> models;
  IdSource ids;
  TrainingOptions training;
};
void compare(const CompareOptions& options);

struct AnalyseOptions {
  std::vector<std::string> models;
  std::string data;
  Index users = 1000, k = 10;
  std::vector<Index> widths;
  std::int64_t seed = 1;
  Index threads = 0;
  bool json = false;
};
/// What decoding makes of trained models.
void analyse_decoding(const AnalyseOptions& options);

struct MemorizationOptions {
  std::vector<std::string> models, rankings;
  std::string data, report, against;
  std::string seen = "remove";             // of models' lists
  std::string candidates_seen = "remove";  // of candidates
  Index last = 0, candidates = 50;         // 0: all
  Index k = 5, hops = 4;
  Index threads = 0;
  bool json = false;
};
/// How much of what systems list training said one hop from the input.
void analyse_memorization(const MemorizationOptions& options);

struct QuickstartOptions {
  std::string out = "simgr-quickstart";
  Index threads = 0;
};
void quickstart(const QuickstartOptions& options);

struct InspectOptions {
  std::string path;                         // a model file, or a checkpoint folder
  Index texts = 4, tokens = 128, rank = 8;  // of a training step of a checkpoint
};
void inspect(const InspectOptions& options);
/// Of a published checkpoint.
void inspect_folder(const InspectOptions& options);

/// Prints every name that `--set` takes for this model, with default, range and meaning.
void list_settings(const std::string& model);

/// Errors  UsageError: none of keep, zero and remove
simgr::ranker::Seen seen_named(const std::string& name);
/// "seen items kept" and its like.
std::string seen_text(simgr::ranker::Seen seen);
/// Whether a model fits the data: refuses another number of items, and warns of data that the model
/// was not fitted on.
///
/// Errors  simgr::DataError: another number of items
void require_same_data(const DataFolder& folder, Index items, const std::string& fitted_on,
                       const std::string& file);
/// The machine's threads where `threads` is 0.
Index threads_or_all(Index threads);

}  // namespace simgr_cli
