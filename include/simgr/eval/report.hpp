// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/eval/metrics.hpp>
#include <simgr/eval/significance.hpp>
#include <simgr/eval/svg.hpp>

namespace simgr::SIMGR_ABI::eval {

/// One epoch of a training run; what was not measured is NaN.
struct CurvePoint {
  Index epoch = 0;
  double loss = absent;
  double validation_ndcg = absent;  // NDCG@10 on the validation split
};

/// What a report shows of one model. Fractions from 0 to 1; NaN is absent and printed as a dash.
struct ReportedModel {
  std::string name;
  double hr = absent, ndcg = absent, mrr = absent;  // HR@10, NDCG@10, full-ranking MRR
  Interval hr_interval{}, ndcg_interval{};
  double coverage = absent;                              // of the top-10 lists
  double entropy = absent, entropy_normalised = absent;  // nats; divided by ln items
  double epochs = absent, seconds_per_epoch = absent, seconds = absent;  // training
  double configurations_tried = absent, epochs_tried = absent;           // to choose its settings
  double milliseconds = absent;  // of one list, served alone
  std::vector<CurvePoint> curve;
  std::vector<Index> frequency;  // [items] top-10 lists that hold the item
};

/// Bars under a caption of their own.
struct ReportedBars {
  std::string label;
  std::vector<Bar> bars;
  bool percent = false;
  int digits = 4;
};

/// A part of the page of the caller's own: charts and bars two by two, then a table.
struct ReportedSection {
  std::string title, caption;
  std::vector<LineChart> charts;               // their labels become captions
  std::vector<std::string> columns;            // heads of the table; empty: no table
  std::vector<std::vector<std::string>> rows;  // [rows][columns]
  std::vector<ReportedBars> bars{};            // beside the charts
};

/// A page that shows how models compare: accuracy, learning curves, what they list. One HTML file
/// that needs nothing else: inline SVG, no script, light and dark by the reader's setting, and
/// ready for print.
///
///   Report report("Beauty", "test split, leave one out, seen items kept");
///   report.add_fact("items", "12,101");
///   report.add({.name = "SimGR", .hr = .079, …});
///   std::string page = report.html();      // the caller writes the file
///
/// A page without models has the caller's own parts alone.
///
/// All texts are escaped; nothing they hold becomes markup.
class Report {
public:
  Report(std::string title, std::string protocol)
      : title_(std::move(title)), protocol_(std::move(protocol)) {}

  void add(ReportedModel model) { models_.push_back(std::move(model)); }
  /// A number at the top of the page.
  void add_fact(std::string name, std::string value) {
    facts_.emplace_back(std::move(name), std::move(value));
  }
  /// How often each item is really chosen: what the frequencies of the lists are compared with.
  void set_truth(std::string name, std::vector<Index> frequency) {
    truth_name_ = std::move(name);
    truth_ = std::move(frequency);
  }
  /// Behind what the page has anyway, in the order of the calls.
  void add(ReportedSection section) { sections_.push_back(std::move(section)); }
  /// A paragraph at the foot of the page.
  void add_note(std::string text) { notes_.push_back(std::move(text)); }

  std::string html() const {
    std::string page = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                       "<meta name=\"generator\" content=\"simgr\">"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                       "<meta name=\"color-scheme\" content=\"light dark\"><title>" +
                       escape_html(title_) + "</title><style>" + std::string(style()) +
                       "</style></head>\n<body><main>\n<header><h1>" + escape_html(title_) +
                       "</h1><p>" + escape_html(protocol_) + "</p>";
    if (!facts_.empty()) {
      page += "<dl>";
      for (const auto& [name, value] : facts_) {
        page += "<div><dt>" + escape_html(name) + "</dt><dd>" + escape_html(value) + "</dd></div>";
      }
      page += "</dl>";
    }
    page += "</header>\n";
    if (!models_.empty()) {
      page += table() + accuracy_bars() + learning_curves() + listed_items();
    }
    for (const ReportedSection& own : sections_) { page += section_of(own); }
    if (!notes_.empty()) {
      page += "<footer>";
      for (const std::string& note : notes_) { page += "<p>" + escape_html(note) + "</p>"; }
      page += "</footer>";
    }
    return page + "</main></body></html>\n";
  }

private:
  static std::string section(std::string_view title, std::string_view caption,
                             std::string_view body) {
    return "<section><h2>" + std::string(title) + "</h2><p class=\"caption\">" +
           std::string(caption) + "</p>" + std::string(body) + "</section>\n";
  }
  static std::string figure(std::string_view title, const std::string& drawing) {
    return "<figure><figcaption>" + std::string(title) + "</figcaption>" + drawing + "</figure>";
  }
  static std::string legend_entry(std::string_view name, int colour, bool dashed) {
    return "<li>" + detail::sample_of(colour, dashed) + escape_html(name) + "</li>";
  }
  /// The models that `shown` accepts, with their colours.
  template <class Shown>
  std::string legend(bool with_truth, Shown&& shown) const {
    std::string text = "<ul class=\"legend\">";
    for (std::size_t m = 0; m < models_.size(); ++m) {
      if (!shown(models_[m])) {
        continue;
      }
      text += legend_entry(models_[m].name, static_cast<int>(m), false);
    }
    if (with_truth) {
      text += legend_entry(truth_name_, -1, false);
    }
    return text + "</ul>";
  }

  std::string table() const {
    struct Column {
      const char* title;
      double ReportedModel::*value;
      int digits;
      double scale;
      bool highest_is_best;
    };
    const Column columns[] = {
        {"HR@10", &ReportedModel::hr, 4, 1, true},
        {"NDCG@10", &ReportedModel::ndcg, 4, 1, true},
        {"MRR", &ReportedModel::mrr, 4, 1, true},
        {"coverage, %", &ReportedModel::coverage, 1, 100, true},
        {"entropy, nats", &ReportedModel::entropy, 2, 1, true},
        {"entropy, % of max", &ReportedModel::entropy_normalised, 1, 100, true},
        {"epochs", &ReportedModel::epochs, 0, 1, false},
        {"s an epoch", &ReportedModel::seconds_per_epoch, 2, 1, false},
        {"training, s", &ReportedModel::seconds, 1, 1, false},
        {"settings tried", &ReportedModel::configurations_tried, 0, 1, false},
        {"epochs of all", &ReportedModel::epochs_tried, 0, 1, false},
        {"ms a list", &ReportedModel::milliseconds, 2, 1, false},
    };
    std::string rows = "<div class=\"scroll\"><table><thead><tr><th>model</th>";
    for (const Column& column : columns) { rows += std::string("<th>") + column.title + "</th>"; }
    rows += "</tr></thead><tbody>";
    for (std::size_t m = 0; m < models_.size(); ++m) {
      rows += "<tr><th>" + detail::sample_of(static_cast<int>(m)) + escape_html(models_[m].name) +
              "</th>";
      for (const Column& column : columns) {
        const double value = models_[m].*column.value;
        bool best = column.highest_is_best && models_.size() > 1 && std::isfinite(value);
        for (const ReportedModel& other : models_) {
          best = best && !(other.*column.value > value);
        }
        rows += std::string(best ? "<td class=\"best\">" : "<td>") +
                fixed(column.scale * value, column.digits) + "</td>";
      }
      rows += "</tr>";
    }
    return section("Models", "The highest value of a column is bold. A dash: not measured.",
                   rows + "</tbody></table></div>");
  }

  std::string bars(std::string_view label, double ReportedModel::*value, bool percent, int digits,
                   Interval ReportedModel::*interval = nullptr) const {
    std::vector<Bar> list;
    for (std::size_t m = 0; m < models_.size(); ++m) {
      const Interval range = interval != nullptr ? models_[m].*interval : Interval{};
      list.push_back(
          {models_[m].name, models_[m].*value, static_cast<int>(m), range.low, range.high});
    }
    return figure(label, draw_bars(label, list, percent, digits));
  }
  std::string accuracy_bars() const {
    return section(
        "Accuracy",
        "HR@10: how often the item that came next is among the ten listed. NDCG@10: the "
        "same, worth more the higher it stands. Across the end of a bar: the 95 % interval "
        "of the mean, users drawn again.",
        "<div class=\"pair\">" +
            bars("HR@10", &ReportedModel::hr, false, 4, &ReportedModel::hr_interval) +
            bars("NDCG@10", &ReportedModel::ndcg, false, 4, &ReportedModel::ndcg_interval) +
            "</div>");
  }
  std::string learning_curves() const {
    LineChart loss{"training loss by epoch", "epoch", "loss", false, false, {}};
    LineChart ndcg{"validation NDCG@10 by epoch", "epoch", "NDCG@10", false, false, {}};
    bool any = false;
    for (std::size_t m = 0; m < models_.size(); ++m) {
      Series losses{models_[m].name, static_cast<int>(m), {}, false};
      Series values{models_[m].name, static_cast<int>(m), {}, true};
      for (const CurvePoint& point : models_[m].curve) {
        losses.points.emplace_back(static_cast<double>(point.epoch), point.loss);
        values.points.emplace_back(static_cast<double>(point.epoch), point.validation_ndcg);
        any = true;
      }
      loss.series.push_back(std::move(losses));
      ndcg.series.push_back(std::move(values));
    }
    if (!any) {
      return {};
    }
    return section(
        "Learning",
        "The dot is the best epoch on the validation split. Losses of different objectives do not "
        "compare with each other.",
        legend(false, [](const ReportedModel& m) { return !m.curve.empty(); }) +
            "<div class=\"pair\">" + figure("training loss", draw(loss)) +
            figure("validation NDCG@10", draw(ndcg)) + "</div>");
  }

  /// (place of the item by frequency, its share of all places), thinned to about 40 a decade.
  static std::vector<std::pair<double, double>> ranked_shares(std::vector<Index> counts) {
    std::sort(counts.begin(), counts.end(), [](Index a, Index b) { return a > b; });
    double total = 0;
    for (const Index count : counts) { total += static_cast<double>(count); }
    std::vector<std::pair<double, double>> points;
    double next = 1;
    for (std::size_t i = 0; i < counts.size() && counts[i] > 0; ++i) {
      const auto place = static_cast<double>(i + 1);
      const bool last = i + 1 == counts.size() || counts[i + 1] == 0;
      if (place >= next || last) {
        points.emplace_back(place, static_cast<double>(counts[i]) / total);
        next = std::max(place + 1, next * 1.06);
      }
    }
    return points;
  }
  std::string listed_items() const {
    LineChart chart{"share of list places by rank of the item",
                    "items, most listed first",
                    "share of all places",
                    true,
                    true,
                    {}};
    if (!truth_.empty()) {
      chart.series.push_back({truth_name_, -1, ranked_shares(truth_), false});
    }
    for (std::size_t m = 0; m < models_.size(); ++m) {
      chart.series.push_back(
          {models_[m].name, static_cast<int>(m), ranked_shares(models_[m].frequency), false});
    }
    return section(
        "What is listed",
        "Items in the order of how often they stand in a top-10 list. A curve that ends "
        "early never shows the rest of the catalogue; one above the truth at its left "
        "crowds the head. Coverage: items that at least one user is shown. Entropy: how "
        "evenly the places are spread; 100 % lists every item equally often.",
        legend(!truth_.empty(), [](const ReportedModel& m) { return !m.frequency.empty(); }) +
            "<div class=\"pair\">" + figure("share of all places, by item", draw(chart)) +
            "<div class=\"stack\">" +
            bars("coverage of the catalogue", &ReportedModel::coverage, true, 1) +
            bars("entropy, of its maximum", &ReportedModel::entropy_normalised, true, 1) +
            "</div></div>");
  }

  /// Series of the charts by name, each once.
  static std::string legend_of(const std::vector<LineChart>& charts) {
    std::string text;
    std::vector<std::string> named;
    for (const LineChart& chart : charts) {
      for (const Series& series : chart.series) {
        if (std::find(named.begin(), named.end(), series.name) == named.end()) {
          named.push_back(series.name);
          text += legend_entry(series.name, series.colour, series.dashed);
        }
      }
    }
    return text.empty() ? text : "<ul class=\"legend\">" + text + "</ul>";
  }
  static std::string section_of(const ReportedSection& own) {
    std::string body = legend_of(own.charts);
    if (!own.charts.empty() || !own.bars.empty()) {
      body += "<div class=\"pair\">";
      for (const LineChart& chart : own.charts) {
        body += figure(escape_html(chart.label), draw(chart));
      }
      for (const ReportedBars& bars : own.bars) {
        body += figure(escape_html(bars.label),
                       draw_bars(bars.label, bars.bars, bars.percent, bars.digits));
      }
      body += "</div>";
    }
    if (!own.columns.empty()) {
      body += "<div class=\"scroll\"><table><thead><tr>";
      for (const std::string& column : own.columns) {
        body += "<th>" + escape_html(column) + "</th>";
      }
      body += "</tr></thead><tbody>";
      for (const auto& row : own.rows) {
        body += "<tr>";
        for (std::size_t c = 0; c < own.columns.size(); ++c) {
          const char* tag = c == 0 ? "th>" : "td>";
          body +=
              std::string("<") + tag + (c < row.size() ? escape_html(row[c]) : "–") + "</" + tag;
        }
        body += "</tr>";
      }
      body += "</tbody></table></div>";
    }
    return section(escape_html(own.title), escape_html(own.caption), body);
  }

  static constexpr std::string_view style() {
    return ":root{--page:#f6f5f2;--card:#fff;--ink:#1d2329;--muted:#66707a;--line:#e3e1dc;"
           "--truth:#8a8f94;--s0:#2563c9;--s1:#d9640b;--s2:#0e8f7e;--s3:#b5338a;--s4:#a97d00;"
           "--s5:#6f4fd0;--s6:#c93434;--s7:#5b6b7d}"
           "@media(prefers-color-scheme:dark){:root{--page:#14171a;--card:#1c2024;--ink:#e8eaec;"
           "--muted:#9aa4ad;--line:#31373d;--truth:#8d969e;--s0:#6ea3f5;--s1:#f59e57;--s2:#3cc9b3;"
           "--s3:#e77fc0;--s4:#dcb53b;--s5:#ab95f7;--s6:#f28080;--s7:#a5b3c3}}"
           "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);"
           "font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}"
           "main{max-width:1080px;margin:0 auto;padding:40px 20px 56px}"
           "h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}"
           "header p{margin:0;color:var(--muted)}"
           "dl{display:flex;flex-wrap:wrap;gap:12px 40px;margin:22px 0 0}"
           "dt{font-size:13px;color:var(--muted)}dd{margin:0;font-size:22px;font-weight:600;"
           "font-variant-numeric:tabular-nums}"
           "section{background:var(--card);border:1px solid var(--line);border-radius:10px;"
           "padding:22px 24px;margin:22px 0 0}"
           "h2{font-size:19px;margin:0}.caption{margin:2px 0 14px;color:var(--muted);"
           "font-size:14px;max-width:76ch}"
           ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;"
           "font-variant-numeric:tabular-nums}"
           "th,td{padding:8px 10px;text-align:right;white-space:nowrap;"
           "border-bottom:1px solid var(--line);font-weight:400}"
           "thead th{color:var(--muted);font-size:13px;vertical-align:bottom}"
           "th:first-child{text-align:left;padding-left:0}tbody th{font-weight:600}"
           "tbody tr:last-child>*{border-bottom:0}td.best{font-weight:700}"
           ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 12px;"
           "padding:0;font-size:14px}"
           ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));"
           "gap:22px 30px}"
           "figure{margin:0}.stack "
           "figure+figure{margin-top:18px}figcaption{font-size:14px;font-weight:"
           "600;margin:0 0 6px}"
           "svg{display:block;width:100%;height:auto;overflow:visible}"
           "svg.sample{display:inline-block;width:36px;height:10px;margin-right:8px}"
           "svg text{fill:var(--muted);font-size:12px;font-variant-numeric:tabular-nums}"
           "svg .name,svg .value{fill:var(--ink);font-size:13.5px}svg .value{font-weight:600}"
           ".grid{stroke:var(--line);stroke-width:1}.whisker{stroke:var(--ink);stroke-width:1.3}"
           ".curve{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}"
           ".mark{stroke:var(--card);stroke-width:2}"
           "footer{margin:22px 2px 0;color:var(--muted);font-size:14px}footer p{margin:0 0 6px}"
           "@media print{:root{--page:#fff;--card:#fff;--ink:#000;--muted:#444;--line:#ccc;"
           "--truth:#777;--s0:#2563c9;--s1:#d9640b;--s2:#0e8f7e;--s3:#b5338a;--s4:#a97d00;"
           "--s5:#6f4fd0;--s6:#c93434;--s7:#5b6b7d}"
           "main{max-width:none;padding:0}section{break-inside:avoid;border-radius:0;padding:14px "
           "12px}.scroll{overflow:visible}table{font-size:8.5px}thead th{font-size:8px}"
           "th,td{padding:4px 3px;white-space:normal}tbody th{white-space:nowrap}"
           "svg.sample{width:24px;margin-right:5px}"
           "rect,path,circle{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";
  }

  std::string title_, protocol_;
  std::vector<ReportedModel> models_;
  std::vector<std::pair<std::string, std::string>> facts_;
  std::string truth_name_;
  std::vector<Index> truth_;
  std::vector<ReportedSection> sections_;
  std::vector<std::string> notes_;
};

}  // namespace simgr::SIMGR_ABI::eval
