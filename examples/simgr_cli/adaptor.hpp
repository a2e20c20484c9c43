// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <span>
#include <type_traits>

#include <simgr_cli/kind.hpp>
#include <simgr_cli/output.hpp>

#include <simgr/baselines/defaults.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/train/log.hpp>
#include <simgr/train/stage_file.hpp>
#include <simgr/train/trainer.hpp>
#include <simgr/train/training_state.hpp>
#include <simgr/train/warm_start.hpp>

// From a type to a row of the table. Included by the files of models/, and by nothing else. Most of
// what is instantiated here does not depend on the model, hence one file for several models that have
// much in common: a file costs as much as two models in it.

namespace simgr_cli {

template <class Loss>
inline constexpr bool is_item_softmax = false;
template <class Negatives>
inline constexpr bool is_item_softmax<simgr::ItemCrossEntropy<Negatives>> = true;

template <class Model>
constexpr Family family_of() {
  if constexpr (requires { typename Model::Parts; }) {
    if constexpr (Model::autoregressive) {
      return Family::digits_in_turn;
    } else if constexpr (Model::Parts::scores_digits) {
      return Family::digits_apart;
    } else if constexpr (is_item_softmax<typename Model::LossType>) {
      return Family::items;
    }
  }
  return Family::scores;
}

template <class Model>
class Served final : public ServedModel {
public:
  explicit Served(Model model) : model_(std::move(model)) {}
  const simgr::Catalogue& catalogue() const override { return model_.catalogue(); }
  const simgr::ItemKeys& item_keys() const override { return model_.item_keys(); }
  simgr::eval::Metrics evaluate(const simgr::data::Evaluation& cases,
                                const simgr::eval::EvaluateOptions& options,
                                simgr::cpu::ThreadPool& pool) const override {
    return simgr::eval::evaluate_model(model_, cases, options, pool);
  }
  std::vector<simgr::Recommended> recommend(std::span<const ItemId> history, Index k,
                                            const simgr::RecommendOptions& options) const override {
    return model_.recommend(history, k, options);
  }
  simgr::Ragged<ItemId> lists(const simgr::data::Evaluation& cases, Index k,
                              const simgr::RecommendOptions& options,
                              simgr::cpu::ThreadPool& pool) const override {
    return simgr::eval::served_lists(model_, cases, k, options, pool);
  }
  Family family() const override { return family_of<Model>(); }
  void item_logs(simgr::RaggedView<ItemId> histories, simgr::Matrix<float> out) const override {
    if constexpr (family_of<Model>() == Family::items) {
      model_.score(histories, out);
    }
  }
  std::vector<simgr::analysis::PrefixLogs>
  prefix_logs(simgr::RaggedView<ItemId> histories) const override {
    std::vector<simgr::analysis::PrefixLogs> logs;
    if constexpr (family_of<Model>() == Family::digits_in_turn) {
      logs.resize(static_cast<std::size_t>(histories.sequences()));
      for (auto& one : logs) {
        for (Index depth = 0; depth <= model_.trie().digits(); ++depth) {
          one.at.emplace_back(static_cast<std::size_t>(model_.trie().nodes(depth)), 0.0);
        }
      }
      model_.visit_prefixes(histories, [&](Index row, Index depth, Index node, float log_p) {
        logs[static_cast<std::size_t>(row)]
            .at[static_cast<std::size_t>(depth)][static_cast<std::size_t>(node)] =
            static_cast<double>(log_p);
      });
    }
    return logs;
  }
  void digit_logs(simgr::RaggedView<ItemId> histories, simgr::Matrix<float> out) const override {
    if constexpr (family_of<Model>() == Family::digits_apart) {
      model_.digit_log_probabilities(histories, out);
    }
  }

private:
  Model model_;
};

/// What a stage before training reads besides the model.
struct Beginning {
  const simgr::data::Split& split;
  simgr::RaggedView<std::int32_t> attributes;  // of items
  std::uint64_t seed;                          // of the run
  const simgr::train::StageFile& file;         // what it keeps between epochs, and goes on from
};

/// A stage before training, and what is set of it; a run that goes on is past it. Most models have none.
/// Those that have specialise this beside their row.
template <class Model>
struct StageBefore : simgr::NoFields {
  static constexpr bool wanted() { return false; }
  void run(Model&, const Beginning&, simgr::cpu::ThreadPool&) const {}
};

/// Tells people how it goes.
inline auto epochs_of(const char* stage) {
  return [stage](const simgr::train::PretrainReport& report) {
    std::fprintf(stderr, "%s: epoch %td of %td, loss %.4f\n", stage, report.epoch, report.epochs,
                 report.loss);
  };
}

/// The fields of a model, of its training and of what comes before as one list of names.
template <class Model>
struct AllSettings {
  typename Model::Config model;
  simgr::train::FitOptions fit;
  StageBefore<Model> before{};

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    Model::Config::for_each_field(c.model, f);
    simgr::train::FitOptions::for_each_field(c.fit, f);
    StageBefore<Model>::for_each_field(c.before, f);
  }
};

template <class Model>
AllSettings<Model> settings_of(const simgr::baselines::Defaults<Model>& defaults,
                               const std::vector<Setting>& settings) {
  AllSettings<Model> all{defaults.model, defaults.fit, {}};
  for (const Setting& setting : settings) {
    if (const simgr::Failure failure = simgr::try_set_field(all, setting.name, setting.value)) {
      throw UsageError(std::string("--set: ") + failure->what());
    }
  }
  return all;
}

/// The same model, trained to know the neighbours of items, too, where a request gives that a weight.
template <class Model>
using Related = simgr::with_tasks<Model, simgr::NextItem, simgr::CollaborativeNeighbours,
                                  simgr::SemanticNeighbours>;

/// The weights of a trained model as the model that serves lays them out: tags of tasks come last.
template <class Trained>
std::span<const float> serving_weights(const Trained& model) {
  const auto& tensors = model.table().tensors;
  const auto tags = std::find_if(tensors.begin(), tensors.end(),
                                 [](const auto& tensor) { return tensor.name == "training/tags"; });
  return tags == tensors.end() ? model.weights()
                               : model.weights().first(static_cast<std::size_t>(tags->offset));
}

/// How a model over a language model begins; in language_models/adaptor.hpp.
template <class Model>
struct OverBackbone;

/// The numbers of a trained model with others of those that lists are made with.
template <class Config>
Config serving_config(Config config, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    if (!setting.name.starts_with("ranker.") && !setting.name.starts_with("candidates.")) {
      throw UsageError("--set " + setting.name +
                       ": training has settled it; a trained model takes "
                       "what lists are made with, names that begin with ranker. or candidates.");
    }
    if (const simgr::Failure failure = simgr::try_set_field(config, setting.name, setting.value)) {
      throw UsageError(std::string("--set: ") + failure->what());
    }
  }
  return config;
}

/// What a model file notes of its making.
std::vector<simgr::io::MetadataEntry> metadata_of(const std::string& name,
                                                  const FitRequest& request,
                                                  const simgr::train::FitOptions& options,
                                                  const simgr::train::FitResult& result);

/// Tells a request how its training goes, and the log, if one is asked for.
class Reporting {
public:
  /// @param finished  epochs that the log keeps
  Reporting(const FitRequest& request, Index finished);
  ~Reporting();
  void operator()(const simgr::train::StepReport& report) const;
  bool operator()(const simgr::train::EpochReport& report) const;  // false: pause

private:
  const FitRequest& request_;
  std::unique_ptr<simgr::train::EpochLog> log_;
};

/// Where the state of a run lies, and whether it begins at the beginning: nobody asked to go on, or there
/// is no state.
std::string state_of(const FitRequest& request);
bool begins_anew(const FitRequest& request);
/// Where a stage before it is kept until there is a state of the run itself.
std::string stage_of(const FitRequest& request);

/// What is set of a stage before training. Of a file its name; where it lies is of this machine.
template <class Before>
std::vector<simgr::FieldText> noted(const Before& before) {
  std::vector<simgr::FieldText> fields = simgr::list_fields(before);
  for (simgr::FieldText& field : fields) {
    field.value = std::filesystem::path(field.value).filename().string();
  }
  return fields;
}

// What files call the model file that a run began with: its name; where it lies is of this machine.
inline constexpr const char* warm_start_key = "warm_start";
std::string warm_start_of(const FitRequest& request);
/// Notes for a state which weights a run began with, and tells people.
void note_warm_start(simgr::train::RunNotes& notes, const FitRequest& request);
void tell_warm_start(const FitRequest& request, const std::string& differences);

/// Runs what comes before training, or what is left of it.
template <class Model>
void run_stage_before(const AllSettings<Model>& all, Model& model, const simgr::data::Split& split,
                      simgr::RaggedView<std::int32_t> attributes, const FitRequest& request,
                      simgr::cpu::ThreadPool& pool) {
  const std::string path = stage_of(request);
  require_output(path, Output::model);
  if (!request.resume) {
    std::filesystem::remove(path);
  }
  std::vector<simgr::FieldText> stage = noted(all.before);
  for (const auto& field : simgr::list_fields(model.config())) { stage.push_back(field); }
  const auto add = [&](const char* name, std::string value) {
    stage.push_back({name, std::move(value), {}, {}});
  };
  add("seed", std::to_string(all.fit.seed));
  add("data", request.data_fingerprint);
  add("backbone", request.backbone_name);
  if (!request.warm_start.empty()) {
    add(warm_start_key, warm_start_of(request));
  }
  const simgr::train::StageFile file(path, std::move(stage));
  all.before.run(model, {split, attributes, all.fit.seed, file}, pool);
}

/// Trains, keeping a state beside the model file; goes on from it where the request says so.
///
/// @param trainer  fresh from its constructor
/// @param notes    of a stage before; empty: there is none
template <class Run>
simgr::train::FitResult train_by(Run trainer, const FitRequest& request,
                                 simgr::cpu::ThreadPool& pool, simgr::train::RunNotes notes = {}) {
  const std::string state = state_of(request), stage = stage_of(request);
  const bool has_stage = !notes.fields.empty();
  note_warm_start(notes, request);
  if (!begins_anew(request)) {
    if (const simgr::Failure failure =
            simgr::train::try_load_training_state(trainer, state, notes)) {
      throw simgr::DataError(std::string(failure->what()) +
                             "; give another --out, or delete this file to begin anew");
    }
  } else {
    std::filesystem::remove(state);  // of another run: nobody may go on from it
    if (has_stage && std::filesystem::exists(stage)) {
      simgr::train::save_training_state(trainer, state, notes);
    }
  }
  if (has_stage) {
    std::filesystem::remove(stage);
  }
  const Reporting reporting(request, trainer.epoch());
  constexpr std::chrono::seconds longest_loss(30);
  auto saved = std::chrono::steady_clock::now();
  const auto reached = [&] {
    return trainer.finished() || (request.until > 0 && trainer.epoch() >= request.until);
  };
  for (bool go_on = !reached(); go_on;) {
    go_on = trainer.step(reporting, pool) && !reached();
    const auto now = std::chrono::steady_clock::now();
    if (trainer.progress().step == 0 || now - saved > longest_loss) {
      simgr::train::save_training_state(trainer, state, notes);
      saved = now;
    }
  }
  return trainer.finish();
}
template <class Model>
simgr::train::FitResult train_model(Model& model, const simgr::data::Split& split,
                                    const simgr::train::FitOptions& options,
                                    const FitRequest& request, simgr::cpu::ThreadPool& pool,
                                    const simgr::train::RunNotes& notes) {
  return train_by(simgr::train::Trainer<Model>(model, split, options), request, pool, notes);
}

/// @tparam Trained  the model itself; the same stages under another ranker: training needs none, and
///                  one trainer is compiled for both; or with tasks besides, for Related
template <class Model, class Trained>
Fitted fit_recommender(const std::string& name, const simgr::baselines::Defaults<Model>& defaults,
                       simgr::Catalogue catalogue, const simgr::data::Split& split,
                       const FitRequest& request, simgr::cpu::ThreadPool& pool) {
  const AllSettings<Model> all = [&] {
    if constexpr (Model::Parts::reads_prompts) {
      return settings_of(OverBackbone<Model>::configured(defaults, *request.backbone),
                         request.settings);
    } else {
      return settings_of(defaults, request.settings);
    }
  }();
  const auto attributes = std::exchange(catalogue.attributes, {});
  const simgr::train::RunNotes notes{noted(all.before), noted(StageBefore<Model>{})};
  const auto begin = [&](auto& model) {
    if (!begins_anew(request)) {
      return;
    }
    if (!request.warm_start.empty()) {
      tell_warm_start(request, simgr::train::warm_start(model, request.warm_start));
    }
    if constexpr (std::is_same_v<decltype(model), Model&>) {
      if (all.before.wanted()) {
        run_stage_before(all, model, split, attributes.view(), request, pool);
      }
    }
  };
  const auto finished = [&](Model model, const simgr::train::FitResult& result) {
    auto metadata = metadata_of(name, request, all.fit, result);
    if (all.before.wanted()) {
      for (const simgr::FieldText& field : notes.fields) {
        metadata.push_back({field.name, field.value});
      }
    }
    simgr::io::ModelFile<Model>::save(model, request.out, metadata);
    return Fitted{std::make_unique<Served<Model>>(std::move(model)), result};
  };
  if constexpr (Model::Parts::reads_prompts) {
    Model model = OverBackbone<Model>::begin(std::move(catalogue), all.model, all.fit.seed,
                                             *request.backbone, request.words_of_digits);
    begin(model);
    const auto result = train_model(model, split, all.fit, request, pool, notes);
    return request.out.empty() ? Fitted{nullptr, result} : finished(std::move(model), result);
  } else if constexpr (std::is_same_v<Model, Trained>) {
    Model model(std::move(catalogue), all.model, all.fit.seed);
    begin(model);
    const auto result = train_model(model, split, all.fit, request, pool, notes);
    return request.out.empty() ? Fitted{nullptr, result} : finished(std::move(model), result);
  } else {
    const auto& c = all.model;
    typename Trained::Config config{c.encoder, c.pooler, c.similarity, c.candidates, c.loss, {}};
    if constexpr (std::is_same_v<typename Model::RankerType, typename Trained::RankerType>) {
      config.ranker = c.ranker;
    }
    Trained model(std::move(catalogue), config, all.fit.seed);
    begin(model);
    const auto result = train_model(model, split, all.fit, request, pool, notes);
    return request.out.empty()
               ? Fitted{nullptr, result}
               : finished(Model(model.catalogue(), c, serving_weights(std::as_const(model))),
                          result);
  }
}

/// The row of a Recommender.
template <class Model, class Trained = Model>
ModelKind kind_of(int place, std::string name, std::string summary,
                  simgr::baselines::Defaults<Model> defaults) {
  using File = simgr::io::ModelFile<Model>;
  ModelKind kind;
  kind.place = place;
  kind.name = name;
  kind.summary = std::move(summary);
  kind.space = defaults.space;
  kind.needs = {Model::Parts::Embedding::needs_ids, Model::Parts::reads_text_vectors,
                Model::Parts::reads_item_vectors};
  kind.type = File::type();
  kind.loss = File::loss();
  kind.warm_starts = true;
  kind.ranker = File::ranker();
  if constexpr (Trained::learns_neighbours) {
    kind.learns_neighbours = true;
    defaults.fit.collaborative = defaults.fit.semantic = 0;  // until they are asked for
  }
  kind.settings = [defaults] { return simgr::list_fields(settings_of(defaults, {})); };
  kind.check = [defaults](const std::vector<Setting>& settings) {
    settings_of(defaults, settings);
  };
  kind.fit = [name, defaults](simgr::Catalogue catalogue, const simgr::data::Split& split,
                              const FitRequest& request, simgr::cpu::ThreadPool& pool) {
    return fit_recommender<Model, Trained>(name, defaults, std::move(catalogue), split, request,
                                           pool);
  };
  kind.load = [](const simgr::io::Checkpoint& file,
                 const std::vector<Setting>& settings) -> std::unique_ptr<ServedModel> {
    Model model = File::try_load(file).value_or_raise();
    if (!settings.empty()) {
      const auto config = serving_config(model.config(), settings);
      model = Model(model.catalogue(), config, std::as_const(model).weights());
    }
    return std::make_unique<Served<Model>>(std::move(model));
  };
  return kind;
}

}  // namespace simgr_cli
