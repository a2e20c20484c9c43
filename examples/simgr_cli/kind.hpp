// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr_cli/data_folder.hpp>

#include <simgr/analysis/prefix_distribution.hpp>
#include <simgr/catalogue.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/cpu/thread_pool.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/evaluator.hpp>
#include <simgr/io/checkpoint.hpp>
#include <simgr/recommender.hpp>
#include <simgr/train/fit_options.hpp>
#include <simgr/train/report.hpp>

// Models as values: the one place where types are erased, so that a model is a word on the command
// line. The files of models/ fill in a ModelKind for every model and put it in the table.

namespace simgr::SIMGR_ABI::io {
class Backbone;
}

namespace simgr_cli {

using simgr::Index;
using simgr::ItemId;

/// Something wrong with the command line itself: exit code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One `--set name=value`.
struct Setting {
  std::string name, value;
};

/// What the user asked of a training run, besides data and model.
struct FitRequest {
  std::string out;                                      // the model file; empty: none is written
  std::string state;                                    // of the run; empty: beside the model file
  std::string warm_start;                               // a model file; empty: weights are drawn
  std::vector<Setting> settings;                        // of the model's Config or of FitOptions
  std::string log;                                      // JSON lines; empty: none
  bool resume = false;                                  // go on from the state, where there is one
  Index until = 0;                                      // epochs that are trained; 0: all
  std::string data_fingerprint;                         // noted in the model file
  std::shared_ptr<const simgr::io::Backbone> backbone;  // of a model over a language model
  std::string backbone_name;                            // noted, too
  simgr::Ragged<std::int32_t> words_of_digits;          // of the terms that ids are made of
  std::vector<simgr::io::MetadataEntry> notes;          // for the model file, besides
  std::function<void(const simgr::train::StepReport&)> on_step;
  std::function<bool(const simgr::train::EpochReport&)> on_epoch;  // false: pause behind it
};

/// What a model says of the next item before a list is made.
enum class Family {
  scores,          // an order of items, which is no distribution
  items,           // a softmax over all items
  digits_in_turn,  // a softmax over each digit of the semantic id, given those before it
  digits_apart     // a softmax over each digit, on its own
};

/// A model that serves, whatever its type.
class ServedModel {
public:
  virtual ~ServedModel() = default;
  virtual const simgr::Catalogue& catalogue() const = 0;
  virtual const simgr::ItemKeys& item_keys() const = 0;
  virtual simgr::eval::Metrics evaluate(const simgr::data::Evaluation& cases,
                                        const simgr::eval::EvaluateOptions& options,
                                        simgr::cpu::ThreadPool& pool) const = 0;
  virtual std::vector<simgr::Recommended>
  recommend(std::span<const ItemId> history, Index k,
            const simgr::RecommendOptions& options) const = 0;

  /// Lists of all cases, k places or fewer.
  virtual simgr::Ragged<ItemId> lists(const simgr::data::Evaluation& cases, Index k,
                                      const simgr::RecommendOptions& options,
                                      simgr::cpu::ThreadPool& pool) const = 0;

  virtual Family family() const = 0;
  /// Log-masses of all items, of family `items`; what they sum to is the model's affair.
  /// out [histories, items]
  virtual void item_logs(simgr::RaggedView<ItemId> histories, simgr::Matrix<float> out) const = 0;
  /// Log-probabilities of all prefixes of its ids, one a history, of family `digits_in_turn`.
  virtual std::vector<simgr::analysis::PrefixLogs>
  prefix_logs(simgr::RaggedView<ItemId> histories) const = 0;
  /// Log-probabilities of all codes, of family `digits_apart`.   out [histories, Σ codes]
  virtual void digit_logs(simgr::RaggedView<ItemId> histories, simgr::Matrix<float> out) const = 0;
};

struct Fitted {
  std::unique_ptr<ServedModel> model;  // null where no model file was asked for
  simgr::train::FitResult result;
};

/// A row of the table of models.
struct ModelKind {
  int place = 0;        // in lists: simple models first
  std::string name;     // the word on the command line
  std::string summary;  // one line
  std::string space;    // what a search tries unless it is told otherwise; empty: not searched
  bool in_quickstart = true;
  Needs needs{};
  std::string over;                // the word it answers to with --backbone; empty: it has none
  bool learns_neighbours = false;  // can be trained to, by --tasks
  bool warm_starts = false;        // can begin with the weights of a model file
  bool narrow = false;             // keeps that language model in bfloat16
  /// Whether it reads this language model; null: it reads none.
  std::function<bool(const simgr::io::Backbone&)> reads_backbone;
  std::string type, loss, ranker;  // what model files call its types: io::ModelFile
  /// Every name `--set` takes, with its default, range and meaning.
  std::function<std::vector<simgr::FieldText>()> settings;
  /// Errors  UsageError: a setting that is unknown, unreadable or out of range
  std::function<void(const std::vector<Setting>&)> check;
  /// Trains and writes the model file; continues a run where the request says so, and pauses it.
  std::function<Fitted(simgr::Catalogue, const simgr::data::Split&, const FitRequest&,
                       simgr::cpu::ThreadPool&)>
      fit;
  /// @param settings  of `ranker` and `candidates` alone: what lists are made with
  ///
  /// Errors  UsageError: another setting; simgr::Error: a damaged file
  std::function<std::unique_ptr<ServedModel>(const simgr::io::Checkpoint&,
                                             const std::vector<Setting>& settings)>
      load;
  /// Writes the adapters of a model file, which stand in the language model of a folder, as Python's
  /// peft keeps them; null: models of this kind have none.
  std::function<void(const simgr::io::Checkpoint&, const std::string& backbone,
                     const std::string& out)>
      export_adapters;
};

/// Puts a kind in the table, before main begins.
bool add_kind(ModelKind kind);
/// One that the quickstart, which has 150 seconds for all, does not train.
bool add_kind_beside_quickstart(ModelKind kind);
/// The table, by place.
std::vector<const ModelKind*> all_kinds();
/// Errors  UsageError: no such model without a language model; the message lists them
const ModelKind& kind_named(const std::string& name);
/// The row of what a file holds, by the types it names; null: this program does not have them.
const ModelKind* kind_of_file(const simgr::io::Checkpoint& checkpoint);
/// What a file says of how its model came about; what it does not say is NaN.
struct Making {
  double epochs, best_epoch, validation_ndcg;  // of its training; best epoch 0: never validated
  double configurations_tried, epochs_tried;   // in a search for its settings
};
/// A model file, opened as what it says it is.
struct OpenedModel {
  const ModelKind* kind = nullptr;
  std::unique_ptr<ServedModel> model;
  std::string data_fingerprint;  // of what it was fitted on; empty: the file does not say
  Making making;
};
/// @param as  a kind that has the file's types but for what makes lists; empty: what the file says
///
/// Errors  simgr::Error: unreadable, damaged, or of types that no kind has; UsageError: a setting
///         that training has settled, or none of the model; a kind of other types
OpenedModel open_model(const std::string& path, const std::vector<Setting>& settings = {},
                       const std::string& as = {});

// In the metadata of a model file: the kind's name, and the fingerprint of the data.
inline constexpr const char* kind_key = "model";
inline constexpr const char* data_key = "data";
inline constexpr const char* backbone_key = "backbone";
// And of one that a search chose: what it was chosen from.
inline constexpr const char* configurations_key = "search.configurations";
inline constexpr const char* epochs_key = "search.epochs";

/// Where the state of a training run lies.
inline std::string state_path(const std::string& out) {
  return out + ".state";
}

}  // namespace simgr_cli
