// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include <simgr_cli/contest.hpp>
#include <simgr_cli/contest_report.hpp>

#include <simgr/data/byte_source.hpp>
#include <simgr/data/json.hpp>
#include <simgr/io/atomic_file.hpp>
#include <simgr/train/progress.hpp>
#include <simgr/version.hpp>

namespace simgr_cli {

namespace {

/// The settings of the contest that this kind has.
std::vector<Setting> settings_for(const ModelKind& kind, const std::vector<Setting>& settings) {
  const auto names = kind.settings();
  std::vector<Setting> own;
  for (const Setting& setting : settings) {
    if (std::any_of(names.begin(), names.end(),
                    [&](const simgr::FieldText& field) { return field.name == setting.name; })) {
      own.push_back(setting);
    }
  }
  return own;
}

using Curve = std::vector<simgr::eval::CurvePoint>;

/// The learning curve, from the log: epochs of an earlier run are in it too.
simgr::Result<Curve> try_read_curve(const std::string& log) {
  Curve curve;
  auto lines = simgr::data::Lines::open(log);
  if (!lines) {
    return lines.error();
  }
  while (lines->next()) {
    const auto line = simgr::data::try_parse_json(lines->line(), lines->where());
    if (!line) {
      return line.error();
    }
    const auto number = [&](const char* key) {
      const auto* value = line.value().find(key);
      const auto found = value == nullptr ? std::nullopt : value->as_number();
      return found ? *found : simgr::eval::absent;
    };
    curve.push_back(
        {static_cast<Index>(number("epoch")), number("loss"), number("validation_ndcg@10")});
  }
  return lines->failure() ? simgr::Result<Curve>(*lines->failure()) : std::move(curve);
}

/// The curve of a model file, where `fit --log` and compare leave it: beside the file, by its name.
/// Another model's log, or a file of the user's that is called so, is none.
Curve curve_beside(const std::string& file, const Making& making) {
  const auto log = std::filesystem::path(file).replace_extension(".jsonl").string();
  std::error_code error;
  if (!std::filesystem::exists(log, error) || !is_kind(log, Output::log)) {
    return {};
  }
  auto curve = try_read_curve(log);
  const bool validated = making.best_epoch > 0;
  const auto is_of_the_file = [&](const simgr::eval::CurvePoint& point) {
    return static_cast<double>(point.epoch) == (validated ? making.best_epoch : making.epochs) &&
           (validated ? point.validation_ndcg == making.validation_ndcg
                      : std::isnan(point.validation_ndcg));
  };
  const bool is_own =
      curve && std::any_of(curve.value().begin(), curve.value().end(), is_of_the_file);
  if (!is_own) {
    std::cerr << log << ": not the log of " << file << "; its curve is not drawn\n";
  }
  return is_own ? std::move(curve).value() : Curve{};
}

/// Milliseconds of a list of ten for one user, alone and on one thread: the median of as many users
/// as two seconds allow, 200 at most.
double milliseconds_of(const ServedModel& model, const simgr::data::Evaluation& cases) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(2);
  const Index users = std::min<Index>(200, cases.histories.sequences());
  std::vector<double> times;
  for (Index u = -1; u < users && (times.size() < 5 || Clock::now() < end); ++u) {
    const auto start = Clock::now();
    model.recommend(cases.histories[std::max<Index>(u, 0)], 10, {});
    if (u >= 0) {  // before, scratch was made
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
  }
  if (times.empty()) {
    return simgr::eval::absent;
  }
  const auto middle = times.begin() + static_cast<Index>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

/// What would make the comparison unfair, for people; empty: nothing.
std::vector<std::string> cautions_of(const std::vector<Competitor>& models) {
  std::vector<std::string> cautions;
  std::string rising, unvalidated;
  bool unequal = false;
  for (const Competitor& model : models) {
    const double tried = model.shown.configurations_tried,
                 first = models.front().shown.configurations_tried;
    unequal = unequal || (std::isfinite(tried) ? tried : -1) != (std::isfinite(first) ? first : -1);
    if (model.shown.epochs > 1 && model.best_epoch == model.shown.epochs) {
      rising += (rising.empty() ? "" : ", ") + model.shown.name;
    }
    if (model.best_epoch == 0) {
      unvalidated += (unvalidated.empty() ? "" : ", ") + model.shown.name;
    }
  }
  if (unequal) {
    cautions.push_back("not for all models the same number of settings was tried, or is known");
  }
  if (!rising.empty()) {
    cautions.push_back("validation was best at the last epoch, so that these are floors: " +
                       rising);
  }
  if (!unvalidated.empty()) {
    cautions.push_back("never validated, so that these are as the last epoch left them: " +
                       unvalidated);
  }
  return cautions;
}

/// A model of the contest: to be trained, or trained before.
struct Entrant {
  std::string name;
  const ModelKind* kind = nullptr;     // to be trained, or null:
  std::string file;                    // the file
  std::unique_ptr<ServedModel> model;  // and what it holds
  Making making{};
};

/// Whether a word of --models is a path: it has a folder, or ends as model files do.
bool names_file(const std::string& word) {
  return word.find('/') != std::string::npos || word.ends_with(".simgr");
}

/// All files are read here, before hours of training that a missing one would waste.
std::vector<Entrant> entrants_of(const Contest& contest) {
  std::vector<Entrant> entrants;
  for (const std::string& word : contest.models) {
    Entrant entrant{.name = word, .kind = nullptr, .file = {}, .model = nullptr, .making = {}};
    if (names_file(word)) {
      OpenedModel opened = open_model(word);
      require_same_data(contest.folder, opened.model->catalogue().items, opened.data_fingerprint,
                        word);
      entrant = {std::filesystem::path(word).stem().string(), nullptr, word,
                 std::move(opened.model), opened.making};
    } else {
      entrant.kind = &kind_named(word);
    }
    for (const Entrant& other : entrants) {
      if (other.name == entrant.name) {
        throw UsageError("--models: two are called " + entrant.name +
                         "; a file is called as its name says, without .simgr");
      }
    }
    entrants.push_back(std::move(entrant));
  }
  return entrants;
}

Competitor measured(const Contest& contest, const std::string& name,
                    std::unique_ptr<ServedModel> model, simgr::cpu::ThreadPool& pool) {
  const auto& test = contest.folder.split.test;
  auto metrics =
      model->evaluate(test, {.cutoffs = contest_cutoffs, .shards = 4 * pool.threads()}, pool);
  const auto& at = metrics.at(10);
  simgr::eval::ReportedModel shown{.name = name,
                                   .hr = at.all.hr,
                                   .ndcg = at.all.ndcg,
                                   .mrr = metrics.mrr,
                                   .coverage = at.lists.coverage,
                                   .entropy = at.lists.entropy,
                                   .entropy_normalised = at.lists.entropy_normalised,
                                   .milliseconds = milliseconds_of(*model, test),
                                   .curve = {},
                                   .frequency = at.frequency};
  return {std::move(shown), std::move(metrics), std::move(model)};
}

Competitor train_model(const Contest& contest, const ModelKind& kind, simgr::Catalogue catalogue,
                       simgr::cpu::ThreadPool& pool) {
  FitRequest request;
  request.out = contest.out + "/" + kind.name + ".simgr";
  request.log = contest.out + "/" + kind.name + ".jsonl";
  request.settings = settings_for(kind, contest.settings);
  if (const auto own = contest.own_settings.find(kind.name); own != contest.own_settings.end()) {
    request.settings.insert(request.settings.end(), own->second.begin(), own->second.end());
  }
  request.resume = contest.resume;
  request.data_fingerprint = contest.folder.fingerprint;
  if (!kind.needs.ids) {
    catalogue.ids = {};
  }
  std::cerr << kind.name << "\n";
  simgr::train::Progress<> progress(std::cerr, simgr::train::is_terminal(2));
  request.on_step = [&](const simgr::train::StepReport& report) { progress(report); };
  request.on_epoch = [&](const simgr::train::EpochReport& report) {
    progress(report);
    return true;
  };
  Fitted fitted = kind.fit(std::move(catalogue), contest.folder.split, request, pool);
  progress.finish();
  Competitor competitor = measured(contest, kind.name, std::move(fitted.model), pool);
  const auto epochs = static_cast<double>(std::max<Index>(1, fitted.result.epochs));
  competitor.shown.epochs = epochs;
  competitor.shown.seconds_per_epoch = fitted.result.seconds / epochs;
  competitor.shown.seconds = fitted.result.seconds;
  competitor.shown.configurations_tried = 1;
  competitor.shown.epochs_tried = epochs;
  competitor.best_epoch = static_cast<double>(fitted.result.best_epoch);
  competitor.shown.curve = try_read_curve(request.log).value_or_raise();
  return competitor;
}

}  // namespace

void hold(const Contest& contest, const std::string& report, simgr::cpu::ThreadPool& pool) {
  std::vector<Entrant> entrants = entrants_of(contest);
  std::vector<const ModelKind*> kinds;
  Needs needs;
  for (const Entrant& entrant : entrants) {
    if (entrant.model) {
      continue;
    }
    kinds.push_back(entrant.kind);
    needs.ids = needs.ids || kinds.back()->needs.ids;
    needs.text_vectors = needs.text_vectors || kinds.back()->needs.text_vectors;
    needs.item_vectors = needs.item_vectors || kinds.back()->needs.item_vectors;
    needs.attributes = needs.attributes || kinds.back()->needs.attributes;
  }
  for (const Setting& setting : contest.settings) {
    bool known = false;
    for (const ModelKind* kind : kinds) {
      const auto own = settings_for(*kind, {setting});
      kind->check(own);
      known = known || !own.empty();
    }
    if (kinds.empty()) {
      throw UsageError("--set: model files are measured as they are, and no other model is named");
    }
    if (!known) {  // the message names the near ones, of a model that has any
      const auto has_some = [](const ModelKind* kind) { return !kind->settings().empty(); };
      const auto kind = std::find_if(kinds.begin(), kinds.end(), has_some);
      (kind == kinds.end() ? kinds.back() : *kind)->check({setting});
    }
  }
  make_folder(contest.out);
  require_output(report, Output::report);
  for (const ModelKind* kind : kinds) {
    const std::string out = contest.out + "/" + kind->name;
    require_output(out + ".simgr", Output::model);
    require_output(state_path(out + ".simgr"), Output::model);
    require_output(out + ".jsonl", Output::log);
  }
  const bool needs_ids = needs.ids;
  needs.ids = needs_ids && contest.given_ids.empty();
  simgr::Catalogue catalogue = catalogue_of(contest.folder, contest.ids, needs, pool);
  if (!contest.given_ids.empty()) {
    catalogue.ids = contest.given_ids;
  }
  const std::string protocol =
      "test split, leave one out, full catalogue, seen items kept, best validation epoch";
  simgr::eval::Report page(contest.name, protocol);
  const auto& interactions = contest.folder.interactions;
  page.add_fact("users", simgr::eval::grouped(interactions.users()));
  page.add_fact("items", simgr::eval::grouped(interactions.items));
  page.add_fact("interactions", simgr::eval::grouped(interactions.histories.tokens()));
  std::string note = "simgr " + std::to_string(SIMGR_VERSION_MAJOR) + "." +
                     std::to_string(SIMGR_VERSION_MINOR) + "." +
                     std::to_string(SIMGR_VERSION_PATCH) + ", data " + contest.folder.fingerprint +
                     (contest.settings.empty() ? ", default settings" : ", settings");
  for (const Setting& setting : contest.settings) {
    note += " " + setting.name + "=" + setting.value;
  }
  for (const auto& [model, settings] : contest.own_settings) {
    note += "; " + model;
    for (const Setting& setting : settings) { note += " " + setting.name + "=" + setting.value; }
  }
  page.add_note(note);
  if (needs_ids) {
    page.add_note("semantic ids: " + std::to_string(catalogue.ids.digits()) + " digits, " +
                  (contest.given_ids.empty() ? origin_of_ids(contest.folder, contest.ids)
                                             : contest.given_by));
  }
  std::vector<Index> truth(static_cast<std::size_t>(contest.folder.items()), 0);
  for (const ItemId item : contest.folder.split.test.targets) {
    ++truth[static_cast<std::size_t>(item)];
  }
  page.set_truth("test targets", std::move(truth));
  std::vector<Competitor> models;
  for (Entrant& entrant : entrants) {
    if (entrant.model) {
      std::cerr << entrant.name << ": " << entrant.file << "\n";
      page.add_note(entrant.name + ": the file " + entrant.file);
      models.push_back(measured(contest, entrant.name, std::move(entrant.model), pool));
      models.back().shown.epochs = entrant.making.epochs;
      models.back().shown.configurations_tried = entrant.making.configurations_tried;
      models.back().shown.epochs_tried = entrant.making.epochs_tried;
      models.back().best_epoch = entrant.making.best_epoch;
      models.back().shown.curve = curve_beside(entrant.file, entrant.making);
    } else {
      models.push_back(train_model(contest, *entrant.kind, catalogue, pool));
    }
  }
  const Differences differences = compare_users(models, pool);
  const auto sample = sample_of(contest.folder.split.test, contest.analysed, 1);
  analyse(models, sample, catalogue.ids, pool);
  for (const Competitor& model : models) { page.add(model.shown); }
  add_comparisons(page, models, differences);
  add_decoding(page, models, static_cast<Index>(sample.targets.size()));
  const std::vector<std::string> cautions = cautions_of(models);
  for (const std::string& caution : cautions) { page.add_note(caution); }
  if (const simgr::Failure failure = simgr::io::try_replace_file(report, page.html())) {
    simgr::raise(*failure);
  }
  std::printf("\n%s: %s\n\n", contest.name.c_str(), protocol.c_str());
  print_tables(models, differences);
  for (const std::string& caution : cautions) { std::printf("\n%s\n", caution.c_str()); }
  print_decoding(models);
  std::printf("\nreport: %s\n", std::filesystem::absolute(report).c_str());
}

namespace {

/// The last part of a path, whether it ends with a slash or is "." alone.
std::string name_of_folder(const std::string& path) {
  const auto whole = (std::filesystem::absolute(path) / ".").lexically_normal();
  return whole.parent_path().filename().string();
}

}  // namespace

void compare(const CompareOptions& options) {
  simgr::cpu::ThreadPool pool(threads_or_all(options.training.threads));
  for (const std::string& word : options.models) {  // before any work
    if (!names_file(word)) {
      kind_named(word);
    }
  }
  const DataFolder folder = read_folder(options.data);
  hold({.folder = folder,
        .name = name_of_folder(options.data),
        .out = options.out,
        .models = options.models,
        .ids = options.ids,
        .settings = options.training.settings(),
        .analysed = options.users},
       options.report.empty() ? options.out + "/report.html" : options.report, pool);
}

}  // namespace simgr_cli
