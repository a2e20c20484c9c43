// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>

#include <simgr_cli/contest_report.hpp>

namespace simgr_cli {

namespace {

using simgr::eval::fixed;
using simgr::eval::Interval;
using simgr::eval::LineChart;
using simgr::eval::ReportedSection;
using simgr::eval::Significance;

std::string text_of(const Interval& interval) {
  return fixed(interval.low, 4) + " to " + fixed(interval.high, 4);
}
std::string text_of_p(double p) {
  return p < 0.0001 ? "< 0.0001" : fixed(p, 4);
}

ReportedSection section_of(const std::string& metric, const std::vector<Competitor>& models,
                           std::size_t reference, const std::vector<Significance>& found) {
  ReportedSection section;
  const std::string& name = models[reference].shown.name;
  section.title = metric + " against " + name;
  section.caption =
      "Users in pairs: each is ranked by both models. Intervals hold 95 % (bootstrap over users); "
      "p "
      "is that of a permutation test, then by Holm for all models together. These are the users of "
      "one trained model each: what another seed would give is not in it.";
  section.columns = {"model", metric, "95 %", "difference", "95 % ", "p", "p, Holm"};
  for (std::size_t m = 0; m < models.size(); ++m) {
    const Significance& one = found[m];
    section.rows.push_back({models[m].shown.name, fixed(one.mean, 4), text_of(one.interval)});
    if (m == reference) {
      section.rows.back().insert(section.rows.back().end(), {"–", "–", "–", "–"});
    } else {
      section.rows.back().insert(section.rows.back().end(),
                                 {fixed(one.difference, 4), text_of(one.difference_interval),
                                  text_of_p(one.p), text_of_p(one.adjusted_p)});
    }
  }
  return section;
}

/// One curve a model over the list lengths.
template <class Value>
LineChart over_lengths(const std::string& label, const std::string& y,
                       const std::vector<Competitor>& models, Value&& value) {
  LineChart chart{label, "places of a list", y, true, false, {}};
  for (std::size_t m = 0; m < models.size(); ++m) {
    simgr::eval::Series series{models[m].shown.name, static_cast<int>(m), {}};
    for (const auto& at : models[m].metrics.cutoffs) {
      if (at.k <= models[m].metrics.items) {
        series.points.emplace_back(static_cast<double>(at.k), value(at));
      }
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace

Differences compare_users(std::vector<Competitor>& models, simgr::cpu::ThreadPool& pool) {
  Differences differences;
  if (models.empty() || models.front().metrics.users == 0) {
    return differences;
  }
  for (std::size_t m = 0; m < models.size(); ++m) {
    if (models[m].shown.ndcg > models[differences.reference].shown.ndcg) {
      differences.reference = m;
    }
  }
  const auto compared = [&](auto&& values_of) {
    simgr::OwnedMatrix<double> values(models.front().metrics.users,
                                      static_cast<Index>(models.size()));
    for (std::size_t m = 0; m < models.size(); ++m) {
      const std::vector<double> column = values_of(models[m].metrics.ranks, 10);
      for (std::size_t u = 0; u < column.size(); ++u) {
        values.view()(static_cast<Index>(u), static_cast<Index>(m)) = column[u];
      }
    }
    return simgr::eval::compare_paired(values, static_cast<Index>(differences.reference), {}, pool);
  };
  differences.ndcg =
      compared([](const auto& ranks, Index k) { return simgr::eval::gains(ranks, k); });
  differences.hr = compared([](const auto& ranks, Index k) { return simgr::eval::hits(ranks, k); });
  for (std::size_t m = 0; m < models.size(); ++m) {
    models[m].shown.ndcg_interval = differences.ndcg[m].interval;
    models[m].shown.hr_interval = differences.hr[m].interval;
  }
  return differences;
}

void add_comparisons(simgr::eval::Report& page, const std::vector<Competitor>& models,
                     const Differences& differences) {
  if (models.size() > 1 && !differences.ndcg.empty()) {
    page.add(section_of("NDCG@10", models, differences.reference, differences.ndcg));
    page.add(section_of("HR@10", models, differences.reference, differences.hr));
  }
  using At = simgr::eval::MetricsAt;
  page.add(ReportedSection{
      .title = "Lists by their length",
      .caption =
          "What longer lists bring: targets found, items of the catalogue shown to anybody, "
          "and how evenly the places are spread. A model that cannot list more than it "
          "searched stays where it is. The tail: all items but the fifth that is most popular in "
          "training.",
      .charts = {over_lengths("coverage of the catalogue", "share of the items", models,
                              [](const At& at) { return at.lists.coverage; }),
                 over_lengths("entropy, of its maximum", "entropy / ln items", models,
                              [](const At& at) { return at.lists.entropy_normalised; }),
                 over_lengths("HR", "targets in the list", models,
                              [](const At& at) { return at.all.hr; }),
                 over_lengths("HR of targets in the tail", "targets in the list", models,
                              [](const At& at) { return at.tail.hr; })},
      .columns = {},
      .rows = {}});
}

void print_tables(const std::vector<Competitor>& models, const Differences& differences) {
  std::size_t longest = 5;
  for (const Competitor& model : models) { longest = std::max(longest, model.shown.name.size()); }
  const int width = static_cast<int>(longest);
  std::printf("%-*s %8s %8s %8s %10s %16s %7s %9s %8s %12s\n", width, "model", "HR@10", "NDCG@10",
              "MRR", "coverage", "entropy (/ln N)", "epochs", "s/epoch", "ms/list", "tried (ep.)");
  for (const Competitor& model : models) {
    const auto& m = model.shown;
    const auto or_dash = [](double value, int digits) {  // lists have no MRR, files no times
      return std::isfinite(value) ? fixed(value, digits) : std::string("-");
    };
    std::printf(
        "%-*s %8.4f %8.4f %8s %10.4f %8.3f (%.3f) %7s %9s %8.3f %12s\n", width, m.name.c_str(),
        m.hr, m.ndcg, or_dash(m.mrr, 4).c_str(), m.coverage, m.entropy, m.entropy_normalised,
        or_dash(m.epochs, 0).c_str(), or_dash(m.seconds_per_epoch, 2).c_str(), m.milliseconds,
        std::isfinite(m.configurations_tried)
            ? (fixed(m.configurations_tried, 0) + " (" + or_dash(m.epochs_tried, 0) + ")").c_str()
            : "-");
  }
  if (models.size() < 2 || differences.ndcg.empty()) {
    return;
  }
  std::printf("\nNDCG@10 with its 95 %% interval, and against %s, users in pairs:\n",
              models[differences.reference].shown.name.c_str());
  for (std::size_t m = 0; m < models.size(); ++m) {
    const Significance& one = differences.ndcg[m];
    std::printf("%-*s %8.4f (%s)", width, models[m].shown.name.c_str(), one.mean,
                text_of(one.interval).c_str());
    if (m != differences.reference) {
      std::printf("   %+.4f (%s)   p %s, Holm %s", one.difference,
                  text_of(one.difference_interval).c_str(), text_of_p(one.p).c_str(),
                  text_of_p(one.adjusted_p).c_str());
    }
    std::printf("\n");
  }
}

}  // namespace simgr_cli
