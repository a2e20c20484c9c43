// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <type_traits>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/json_line.hpp>

#include <simgr/data/interactions.hpp>
#include <simgr/data/utf8.hpp>
#include <simgr/train/progress.hpp>
#include <simgr/train/search.hpp>
#include <simgr/train/trainer.hpp>

namespace simgr_cli {

namespace {

using simgr::train::Configuration;
using simgr::train::SearchDimension;
using simgr::train::SearchSpace;
using simgr::train::SuccessiveHalving;
using simgr::train::Trial;
using simgr::train::detail::clock_text;
using simgr::train::detail::fixed;

/// 90s, 30m, 1h30m, 2.5h, 1d: each unit once, the largest first.
double seconds_of(const std::string& text) {
  constexpr std::pair<char, double> units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  const char* at = text.data();
  const char* const end = at + text.size();
  double seconds = 0;
  bool good = at != end;
  for (const auto* unit = std::begin(units); good && at != end; ++unit) {
    double number = 0;
    const auto read = std::from_chars(at, end, number, std::chars_format::fixed);
    unit = std::find_if(unit, std::end(units), [&](const auto& each) {
      return read.ptr != end && each.first == *read.ptr;
    });
    good = read.ec == std::errc{} && number >= 0 && unit != std::end(units);
    if (good) {
      seconds += number * unit->second;
      at = read.ptr + 1;
    }
    if (good && at != end && unit + 1 == std::end(units)) {
      good = false;
    }
  }
  if (!good || !(seconds > 0 && seconds <= 1e9)) {
    throw UsageError("--budget " + text.substr(0, 40) +
                     ": expected a time such as 90s, 30m or 1h30m");
  }
  return seconds;
}

/// What a setting is, unless the space says otherwise: the default, or what the user has set.
std::vector<simgr::FieldText> fields_of(const ModelKind& kind,
                                        const std::vector<Setting>& settings) {
  std::vector<simgr::FieldText> fields = kind.settings();
  for (const Setting& setting : settings) {
    for (simgr::FieldText& field : fields) {
      field.value = field.name == setting.name ? setting.value : field.value;
    }
  }
  return fields;
}

/// Of settings or fields the one that is named so; a model that is counted, whose training has none,
/// has `otherwise`.
template <class Named>
std::uint64_t number_of(const std::vector<Named>& fields, const char* name,
                        std::uint64_t otherwise) {
  std::uint64_t number = otherwise;
  for (const Named& field : fields) {
    if (field.name == name) {
      std::from_chars(field.value.data(), field.value.data() + field.value.size(), number);
    }
  }
  return number;
}

/// The ends of a range and a number between, or all choices: what the model must take.
std::vector<std::string> samples_of(const SearchDimension& dimension) {
  if (!dimension.choices.empty()) {
    return dimension.choices;
  }
  const double least = dimension.least, most = dimension.most;
  if (dimension.whole) {
    return {std::to_string(static_cast<std::int64_t>(least)),
            std::to_string(static_cast<std::int64_t>(most))};
  }
  return {simgr::train::detail::rounded(least, least, most),
          simgr::train::detail::rounded(most, least, most),
          simgr::train::detail::rounded(least + 0.4142 * (most - least), least, most)};
}

/// Errors  UsageError: a space that is none, or whose values the model does not take
SearchSpace space_of(const ModelKind& kind, const std::string& text,
                     const std::vector<Setting>& settings) {
  const std::vector<simgr::FieldText> fields = fields_of(kind, settings);
  if (kind.space.empty()) {
    throw UsageError(kind.name + " is not searched: it has no settings");
  }
  auto space = SearchSpace::try_parse(text, fields);
  if (!space) {
    throw UsageError(std::string("--space: ") + space.error().what());
  }
  for (const SearchDimension& dimension : space->dimensions()) {
    if (dimension.name == "epochs" || dimension.name == "evaluate_every" ||
        dimension.name == "seed") {
      throw UsageError("--space: " + dimension.name +
                       " is the same for all trials; set it by --set");
    }
    for (const Setting& setting : settings) {
      if (setting.name == dimension.name) {
        throw UsageError("--set " + setting.name +
                         ": the search tries values of it; leave it out of --space or of --set");
      }
    }
    for (const std::string& value : samples_of(dimension)) {
      try {
        kind.check({{dimension.name, value}});
      } catch (const UsageError& error) {
        const std::string what = error.what();
        const bool fraction = dimension.choices.empty() && !dimension.whole &&
                              what.find("cannot read") != std::string::npos;
        throw UsageError("--space: " + what.substr(what.find(' ') + 1) +
                         (fraction ? "; a range of whole numbers ends in :int" : ""));
      }
    }
  }
  return std::move(space).value_or_raise();
}

std::string text_of(const Configuration& settings) {
  std::string text;
  for (const auto& [name, value] : settings) {
    text += (text.empty() ? "" : " ") + name + "=" + value;
  }
  return text;
}

std::string fingerprint_of(const simgr::SemanticIds& ids) {
  simgr::data::Fingerprint print;
  for (const auto code : ids.codes.values) { print.add(static_cast<std::uint64_t>(code)); }
  return print.hex();
}
/// Of what models read of items besides their ids.
std::string fingerprint_of(const simgr::Catalogue& catalogue) {
  simgr::data::Fingerprint print;
  const auto add = [&](const auto& values) {
    print.add(static_cast<std::uint64_t>(values.size()));
    for (const auto value : values) {
      if constexpr (std::is_same_v<decltype(value), const float>) {
        print.add(std::uint64_t{std::bit_cast<std::uint32_t>(value)});
      } else {
        print.add(static_cast<std::uint64_t>(value));
      }
    }
  };
  add(catalogue.text_vectors.values);
  add(catalogue.item_vectors.values);
  add(catalogue.attributes.values);
  add(catalogue.attributes.offsets);
  add(catalogue.prompt.texts.values);
  add(catalogue.prompt.texts.offsets);
  add(catalogue.prompt.wording.before);
  add(catalogue.prompt.wording.between);
  add(catalogue.prompt.wording.behind);
  print.add(std::uint64_t{catalogue.prompt.ids} << 1 | std::uint64_t{catalogue.prompt.read_texts});
  return print.hex();
}

/// How a search goes: on a terminal one line that is drawn again, elsewhere one line a turn.
class SearchProgress {
public:
  using Clock = std::chrono::steady_clock;

  explicit SearchProgress(const SuccessiveHalving& halving)
      : halving_(halving), terminal_(simgr::train::is_terminal(2)) {}
  ~SearchProgress() { finish(); }
  SearchProgress(const SearchProgress&) = delete;

  void step(Index trial, const simgr::train::StepReport& report) {
    if (!terminal_ || (open_ && Clock::now() - drawn_ < std::chrono::milliseconds(100))) {
      return;
    }
    drawn_ = Clock::now();
    open_ = true;
    const double percent = 100.0 * static_cast<double>(report.step) /
                           static_cast<double>(std::max<Index>(1, report.steps));
    std::cerr << "\rtrial " << trial + 1 << "  epoch " << report.epoch << "/" << report.epochs
              << "  " << fixed(percent, 0) << "%" << best_text() << "  "
              << simgr::train::detail::short_count(report.tokens_per_second) << " tokens/s  left "
              << left() << "\x1b[K" << std::flush;
  }
  void turn(Index trial) {
    finish();
    const Trial& one = halving_.trials()[static_cast<std::size_t>(trial)];
    std::cerr << "trial " << trial + 1 << "  ";
    if (one.failure.empty()) {
      const auto best = one.best();
      std::cerr << one.epochs() << "/" << halving_.options().epochs << " epochs  ndcg@10 "
                << (best ? fixed(*best, 4) : "-") << best_text() << "  "
                << fixed(one.seconds / static_cast<double>(std::max<Index>(1, one.epochs())), 2)
                << " s an epoch  left " << left();
    } else {
      std::cerr << "cannot be trained: " << one.failure;
    }
    std::cerr << "  " << text_of(one.settings) << std::endl;
  }
  void finish() {
    if (open_) {
      std::cerr << "\n";
      open_ = false;
    }
  }

private:
  std::string best_text() const {
    const auto best = halving_.best();
    return best ? " (best " + fixed(*halving_.trials()[static_cast<std::size_t>(*best)].best(), 4) +
                      ", trial " + std::to_string(*best + 1) + ")"
                : "";
  }
  /// By the budget and by the epochs of the trials, whichever is sooner.
  std::string left() const {
    const auto& options = halving_.options();
    double left = std::nan("");
    if (options.budget > 0) {
      left = std::max(0.0, options.budget - halving_.spent());
    }
    if (options.trials > 0 && halving_.epochs() > 0) {
      const double epochs = static_cast<double>(halving_.planned_epochs() - halving_.epochs());
      left = std::fmin(left, std::max(0.0, epochs) * halving_.spent() /
                                 static_cast<double>(halving_.epochs()));
    }
    return clock_text(left);
  }

  const SuccessiveHalving& halving_;
  bool terminal_, open_ = false;
  Clock::time_point drawn_{};
};

/// Trials by their validation, the best first, then those that have none.
std::vector<Index> in_order(std::span<const Trial> trials) {
  std::vector<Index> order;
  for (Index i = 0; i < std::ssize(trials); ++i) { order.push_back(i); }
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    const auto value = [&](Index i) {
      const Trial& one = trials[static_cast<std::size_t>(i)];
      return one.failure.empty() ? one.best().value_or(-1) : -2;
    };
    return value(a) > value(b);
  });
  return order;
}

void print_table(const SuccessiveHalving& halving) {
  const auto trials = halving.trials();
  std::vector<int> widths;
  std::printf("\n   trial   epochs  NDCG@10      time");
  for (std::size_t d = 0; d < trials.front().settings.size(); ++d) {
    std::size_t width = trials.front().settings[d].name.size();
    for (const Trial& one : trials) { width = std::max(width, one.settings[d].value.size()); }
    widths.push_back(static_cast<int>(width));
    std::printf("  %-*s", widths.back(), trials.front().settings[d].name.c_str());
  }
  std::printf("\n");
  for (const Index trial : in_order(trials)) {
    const Trial& one = trials[static_cast<std::size_t>(trial)];
    const auto best = one.best();
    const std::string epochs =
        std::to_string(one.epochs()) + "/" + std::to_string(halving.options().epochs);
    std::printf("%s %6td %8s  %7s  %8s", halving.best() == trial ? "*" : " ", trial + 1,
                epochs.c_str(),
                !one.failure.empty() ? "failed"
                : best               ? fixed(*best, 4).c_str()
                                     : "-",
                clock_text(one.seconds).c_str());
    for (std::size_t d = 0; d < one.settings.size(); ++d) {
      std::printf("  %-*s", widths[d], one.settings[d].value.c_str());
    }
    std::printf("\n");
  }
}

void print_json(const std::string& model, const SuccessiveHalving& halving, Index winner,
                const simgr::train::FitResult& result) {
  const auto settings_json = [](const Trial& one) {
    JsonLine settings;
    for (const auto& [name, value] : one.settings) { settings.add(name, value); }
    return settings.text();
  };
  const auto trial_json = [&](Index trial) {
    const Trial& one = halving.trials()[static_cast<std::size_t>(trial)];
    JsonLine line;
    line.add("trial", trial + 1);
    line.add("epochs", one.epochs());
    line.add("validation_ndcg@10", one.best().value_or(std::nan("")));
    line.add("seconds", one.seconds);
    line.add_raw("settings", settings_json(one));
    if (!one.failure.empty()) {
      line.add("failed", one.failure);
    }
    return line.text();
  };
  JsonLine line;
  line.add("model", model);
  line.add("configurations", static_cast<Index>(halving.trials().size()));
  line.add("epochs", halving.epochs());
  line.add("seconds", halving.spent());
  line.add_raw("best", trial_json(winner));
  line.add("best_epoch", result.best_epoch);
  line.add_raw("whole",
               halving.trials()[static_cast<std::size_t>(winner)].ended ? "true" : "false");
  std::string trials;
  for (const Index trial : in_order(halving.trials())) {
    trials += (trials.empty() ? "" : ",") + trial_json(trial);
  }
  line.add_raw("trials", "[" + trials + "]");
  std::cout << line.text() << "\n";
}

}  // namespace

void search(const SearchOptions& options) {
  BegunFit begun = begin_fit(options.fit);
  const ModelKind& kind = begun.kind;
  const std::vector<Setting> common = begun.request.settings;
  const std::string text = options.space.empty() ? kind.space : options.space;
  SearchSpace space = space_of(kind, text, common);
  const std::vector<simgr::FieldText> fields = fields_of(kind, common);
  const std::uint64_t seed = number_of(common, "seed", number_of(fields, "seed", 1));
  const simgr::train::HalvingOptions how{
      .epochs = static_cast<Index>(number_of(fields, "epochs", 1)),
      .evaluate_every = static_cast<Index>(number_of(fields, "evaluate_every", 1)),
      .rungs = options.method == "random" ? Index{1} : Index{3},
      .trials = options.trials,
      .budget = options.budget.empty() ? 0 : seconds_of(options.budget)};
  if (how.trials == 0 && how.budget == 0) {
    throw UsageError("give --budget TIME, --trials N, or both: whichever is reached first");
  }
  if (how.evaluate_every == 0) {
    throw UsageError("--set evaluate_every=0: a search chooses by validation");
  }
  const std::string folder_of_search = options.fit.out + ".search";
  const auto state_of = [&](Index trial) {
    return folder_of_search + "/trial-" + std::to_string(trial + 1) + ".state";
  };

  simgr::cpu::ThreadPool pool(threads_or_all(options.fit.training.threads));
  const DataFolder folder = read_folder(options.fit.data);
  begun.request.data_fingerprint = folder.fingerprint;
  const simgr::Catalogue catalogue = catalogue_for(options.fit, begun, folder, pool);
  make_folder(folder_of_search);
  Configuration all_share;
  for (const auto& [name, value] : common) { all_share.push_back({name, value}); }
  auto journal = simgr::train::SearchJournal::try_open(
      folder_of_search + "/journal.jsonl",
      Configuration{{"model", kind.name},
                    {"backbone", simgr::data::printable(begun.request.backbone_name, 400)},
                    {"adapter", simgr::data::printable(options.fit.backbone.adapter, 400)},
                    {"data", folder.fingerprint},
                    {"ids", fingerprint_of(catalogue.ids)},
                    {"texts", fingerprint_of(catalogue)},
                    {"settings", text_of(all_share)},
                    {"space", text},
                    {"method", options.method},
                    {"epochs", std::to_string(how.epochs)},
                    {"seed", std::to_string(seed)}});
  if (!journal && journal.error().kind() == simgr::ErrorKind::data) {
    throw simgr::DataError(std::string(journal.error().what()) +
                           "; give another --out, or delete the folder " + folder_of_search +
                           " to begin anew");
  }
  auto search = simgr::train::Search<>::try_begin(std::move(space), seed, how,
                                                  std::move(journal).value_or_raise())
                    .value_or_raise();
  const SuccessiveHalving& halving = search.halving();
  SearchProgress progress(halving);

  Index running = 0;
  const auto train = [&](const simgr::train::SearchTurn& turn,
                         const std::function<bool(const simgr::train::EpochReport&)>& on_epoch)
      -> simgr::train::SearchTurnEnd {
    running = turn.trial;
    FitRequest request = begun.request;
    request.out.clear();
    request.state = state_of(turn.trial);
    request.resume = !turn.fresh;
    request.until = turn.until;
    for (const auto& [name, value] : *turn.settings) { request.settings.push_back({name, value}); }
    request.on_step = [&](const simgr::train::StepReport& report) {
      progress.step(turn.trial, report);
    };
    request.on_epoch = on_epoch;
    require_output(request.state, Output::model);
    try {
      return {kind.fit(catalogue, folder.split, request, pool).result.epochs, {}};
    } catch (const simgr::ConfigError& error) {
      return {0, error.what()};
    } catch (const simgr::train::DivergenceError& error) {
      return {0, error.what()};
    } catch (const std::bad_alloc&) { return {0, "out of memory"}; }
  };
  const auto remove_states = [&] {
    for (Index trial = 0; trial < std::ssize(halving.trials()); ++trial) {
      if (!halving.alive(trial)) {
        std::error_code error;
        std::filesystem::remove(state_of(trial), error);
      }
    }
  };
  const auto after = [&](const SuccessiveHalving&) {
    progress.turn(running);
    remove_states();
  };
  if (const simgr::Failure failure = search.try_run(train, after)) {
    simgr::raise(*failure);
  }
  progress.finish();
  remove_states();  // of a turn behind which the process was killed
  const auto best = halving.best();
  if (!best) {
    const bool failed = !halving.trials().empty() && !halving.trials().back().failure.empty();
    throw simgr::DataError(
        failed ? "no configuration can be trained: " + halving.trials().back().failure
               : "no configuration was validated: give a larger --budget, or data "
                 "whose users have a validation target");
  }

  const Trial& winner = halving.trials()[static_cast<std::size_t>(*best)];
  FitRequest request = begun.request;
  request.state = state_of(*best);
  request.resume = true;
  request.until = winner.epochs();
  for (const auto& [name, value] : winner.settings) { request.settings.push_back({name, value}); }
  request.notes = {{configurations_key, std::to_string(halving.trials().size())},
                   {epochs_key, std::to_string(halving.epochs())}};
  const Fitted fitted = kind.fit(catalogue, folder.split, request, pool);
  if (options.json) {
    print_json(kind.name, halving, *best, fitted.result);
    return;
  }
  std::printf("%s: %td configurations, %td epochs, %s of training and validation\n",
              kind.name.c_str(), std::ssize(halving.trials()), halving.epochs(),
              clock_text(halving.spent()).c_str());
  print_table(halving);
  std::printf("\nthe best is trial %td, validation NDCG@10 %s at epoch %td (%s)%s; "
              "saved %s\n",
              *best + 1, fixed(*winner.best(), 4).c_str(), fitted.result.best_epoch,
              seen_text(fitted.result.seen).c_str(),
              winner.ended ? "" : ", a floor: the budget ended before its training did",
              options.fit.out.c_str());
}

}  // namespace simgr_cli
