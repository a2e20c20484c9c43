// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdio>

#include <simgr_cli/contest_report.hpp>

// What a contest says of decoding: beams against exact lists, and digits predicted apart.

namespace simgr_cli {

namespace {

using simgr::analysis::BeamBias;
using simgr::eval::fixed;
using simgr::eval::LineChart;
using simgr::eval::ReportedSection;
using simgr::eval::Series;

constexpr Index places = 10;

/// The first model that digits predicted apart can be held against, one that spells digits before
/// one of items; null: none.
const Competitor* reference_among(const std::vector<Competitor>& models) {
  for (const Family family : {Family::digits_in_turn, Family::items}) {
    for (const Competitor& model : models) {
      if (model.model->family() == family) {
        return &model;
      }
    }
  }
  return nullptr;
}

/// A curve over the widths for each model that has a beam; `exact` adds a dashed line.
template <class Value, class Exact>
LineChart over_widths(const std::string& label, const std::string& y,
                      const std::vector<Competitor>& models, Value&& value, Exact&& exact) {
  LineChart chart{label, "width of the beam", y, true, false, {}};
  for (std::size_t m = 0; m < models.size(); ++m) {
    const auto& beams = models[m].decoding.beams;
    if (models[m].model->family() != Family::digits_in_turn || beams.empty()) {
      continue;
    }
    Series series{models[m].shown.name, static_cast<int>(m), {}};
    Series line{models[m].shown.name + ", exact", static_cast<int>(m), {}};
    line.dashed = true;
    for (const BeamBias& beam : beams) {
      const auto width = static_cast<double>(beam.width);
      series.points.emplace_back(width, value(beam));
      line.points.emplace_back(width, exact(beam));
    }
    chart.series.push_back(std::move(series));
    if (std::isfinite(line.points.front().second)) {
      chart.series.push_back(std::move(line));
    }
  }
  return chart;
}

ReportedSection beams_section(const std::vector<Competitor>& models, Index users) {
  const auto none = [](const BeamBias&) { return simgr::eval::absent; };
  ReportedSection section;
  section.title = "Beams against exact lists";
  section.caption =
      "Models that spell an item digit by digit, " + std::to_string(users) +
      " users of the test split: every item is scored exactly, then beams of all widths go through "
      "the same probabilities. Mass: what the model believes of the items that the beam ends with; "
      "the rest it cannot list. KL: of what the beam ends with, made to sum to one, from all "
      "items, in nats. Lost: targets in the exact ten and not in the beam's, an error of "
      "search; won: the other way round. Targets that are missing from both are errors of the "
      "model. Exact rank of the missed: the median place among all items of targets that the beam "
      "does not list. Alive: targets whose digits up to the first, second … one the beam still "
      "has.";
  section.charts = {over_widths(
                        "probability that the beam captures", "mass", models,
                        [](const BeamBias& b) { return b.captured.mass; }, none),
                    over_widths(
                        "overlap of the ten best with the exact ten", "share", models,
                        [](const BeamBias& b) { return b.overlap; }, none),
                    over_widths(
                        "HR@10", "targets in the list", models,
                        [](const BeamBias& b) { return b.hr; },
                        [](const BeamBias& b) { return b.exact_hr; }),
                    over_widths(
                        "targets alive at the last digit", "share", models,
                        [](const BeamBias& b) { return b.survival.back(); }, none)};
  section.columns = {"model",         "width", "mass", "KL",  "overlap",
                     "HR@10",         "exact", "lost", "won", "exact rank of the missed",
                     "alive by digit"};
  for (const Competitor& model : models) {
    if (model.model->family() != Family::digits_in_turn) {
      continue;
    }
    for (const BeamBias& beam : model.decoding.beams) {
      std::string alive;
      for (const double share : beam.survival) {
        alive += (alive.empty() ? "" : " ") + fixed(share, 3);
      }
      section.rows.push_back({model.shown.name, std::to_string(beam.width),
                              fixed(beam.captured.mass, 4), fixed(beam.captured.kl, 3),
                              fixed(beam.overlap, 4), fixed(beam.hr, 4), fixed(beam.exact_hr, 4),
                              fixed(beam.lost, 4), fixed(beam.won, 4), fixed(beam.missed_rank, 0),
                              alive});
    }
  }
  return section;
}

ReportedSection digits_section(const std::vector<Competitor>& models, const Competitor& reference) {
  ReportedSection section;
  section.title = "Digits predicted apart";
  section.caption =
      "Against " + reference.shown.name +
      ", which is a model and not the truth. Total correlation: what the digits of the next item "
      "have in common given the user; nothing that predicts digits apart comes nearer than that, "
      "however well it is trained. KL: how far the model is; among items: after probability that "
      "leaks to tuples of no item was taken away. Rows of digits \"its own, were they "
      "apart\" know no other model: entropy and total correlation are those of the model itself, "
      "and KL is how far its own marginals would be from it.";
  section.columns = {"model",          "digits", "entropy, nats",    "total correlation",      "KL",
                     "KL among items", "leaks",  "rank correlation", "overlap of the ten best"};
  for (const Competitor& model : models) {
    if (!model.decoding.independence) {
      continue;
    }
    const auto& one = *model.decoding.independence;
    const bool apart = model.model->family() == Family::digits_apart;
    section.rows.push_back(
        {model.shown.name, apart ? "apart" : "its own, were they apart", fixed(one.entropy, 3),
         fixed(one.total_correlation, 3), fixed(one.kl, 3), fixed(one.kl_restricted, 3),
         fixed(1 - one.valid_mass, 4), fixed(one.rank_correlation, 3), fixed(one.overlap, 3)});
  }
  return section;
}

}  // namespace

void analyse(std::vector<Competitor>& models, const simgr::data::Evaluation& sample,
             const simgr::SemanticIds& ids, simgr::cpu::ThreadPool& pool) {
  const auto ids_of_model = [&](const Competitor& model) -> const simgr::SemanticIds& {
    const simgr::SemanticIds& own = model.model->catalogue().ids;
    return own.empty() ? ids : own;
  };
  const Competitor* reference = reference_among(models);
  for (Competitor& model : models) {
    const simgr::SemanticIds& read = ids_of_model(model);
    if (read.empty()) {
      continue;
    }
    const simgr::Trie trie(read);
    if (model.model->family() != Family::digits_apart) {
      model.decoding = decoding_bias(*model.model, trie, sample, usual_widths, places, pool);
    } else if (reference != nullptr) {
      const simgr::SemanticIds& others = ids_of_model(*reference);
      model.decoding =
          independence_of(*model.model, trie, *reference->model,
                          simgr::Trie(others.empty() ? read : others), sample, places, pool);
    }
  }
}

void add_decoding(simgr::eval::Report& page, const std::vector<Competitor>& models, Index users) {
  const Competitor* reference = reference_among(models);
  if (reference == nullptr) {
    return;
  }
  if (reference->model->family() == Family::digits_in_turn && !reference->decoding.beams.empty()) {
    page.add(beams_section(models, users));
  }
  if (const ReportedSection section = digits_section(models, *reference); !section.rows.empty()) {
    page.add(section);
  }
}

void print_decoding(const std::vector<Competitor>& models) {
  const Competitor* reference = reference_among(models);
  for (const Competitor& model : models) {
    const std::string& name = model.shown.name;
    if (model.model->family() == Family::digits_in_turn && !model.decoding.beams.empty()) {
      const BeamBias &narrow = model.decoding.beams[3], &wide = model.decoding.beams.back();
      std::printf("\n%s spells items: a beam of %td holds %.0f %% of what it believes, one of %td "
                  "%.0f %%; of its exact ten the\nfirst finds %.0f %%, and loses %.1f %% of the "
                  "targets to search.\n",
                  name.c_str(), narrow.width, 100 * narrow.captured.mass, wide.width,
                  100 * wide.captured.mass, 100 * narrow.overlap, 100 * narrow.lost);
    } else if (model.model->family() == Family::digits_apart && model.decoding.independence) {
      const auto& one = *model.decoding.independence;
      std::printf("\n%s predicts digits apart: by %s they share %.2f nat, and it is %.2f nat away; "
                  "%.0f %% of its probability\nfalls on tuples that no item has.\n",
                  name.c_str(), reference->shown.name.c_str(), one.total_correlation, one.kl,
                  100 * (1 - one.valid_mass));
    }
  }
}

}  // namespace simgr_cli
