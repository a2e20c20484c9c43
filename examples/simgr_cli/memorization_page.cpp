// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/memorization.hpp>

#include <simgr/eval/report.hpp>

namespace simgr_cli {

namespace {

namespace analysis = simgr::analysis;
using simgr::eval::fixed;
using simgr::eval::grouped;
using simgr::eval::LineChart;
using simgr::eval::ReportedBars;
using simgr::eval::ReportedSection;

std::string at(const char* metric, Index k) {
  return std::string(metric) + "@" + std::to_string(k);
}
std::string percent(double share, int digits = 2) {
  return std::isfinite(share) ? fixed(100 * share, digits) + " %" : "–";
}

LineChart ratio_by_hop(const MemorizationResults& results) {
  const std::string ratio = at("MemRatio", results.options.k);
  LineChart chart{ratio + " against hop", "hops", ratio, false, false, {}};
  int colour = 0;
  for (const StudiedFile* one : results.all()) {
    simgr::eval::Series series{one->name, colour++, {}};
    for (std::size_t hop = 0; hop < one->numbers.ratio_at.size(); ++hop) {
      series.points.emplace_back(static_cast<double>(hop + 1), one->numbers.ratio_at[hop]);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

ReportedSection recall_section(const MemorizationResults& results) {
  const Index k = results.options.k;
  const std::string recall = at("recall", k), ratio = at("MemRatio", k);
  LineChart chart{recall + " against memorization", ratio + ", %", recall, false, false, {}};
  ReportedBars m{recall + " in group M", {}}, n{recall + " in group N", {}};
  ReportedSection section;
  section.title = "Memorization and recall";
  section.caption =
      "Group M: users whose next item directly followed, in training, one of the items of their "
      "input and is among the most frequent such successors, the candidates. Group N: all "
      "others. " +
      ratio + ": how many of a system's " + std::to_string(k) +
      " places hold a candidate. 'most popular' and 'one hop' are no models: the most frequent "
      "items that a user has not met, and the first candidates. Against hop: the same ratio where "
      "candidates are successors within so many places in training, as many as before.";
  section.columns = {"system",
                     ratio,
                     recall,
                     at("NDCG", k),
                     recall + " in M",
                     recall + " in N",
                     at("NDCG", k) + " in M",
                     at("NDCG", k) + " in N",
                     "short lists"};
  int colour = 0;
  for (const StudiedFile* one : results.all()) {
    const analysis::SystemMemorization& found = one->numbers.found;
    chart.series.push_back({one->name, colour, {{100 * found.ratio, found.all.recall}}});
    m.bars.push_back({one->name, found.m.recall, colour});
    n.bars.push_back({one->name, found.n.recall, colour});
    section.rows.push_back({one->name, fixed(found.ratio, 4), fixed(found.all.recall, 4),
                            fixed(found.all.ndcg, 4), fixed(found.m.recall, 4),
                            fixed(found.n.recall, 4), fixed(found.m.ndcg, 4),
                            fixed(found.n.ndcg, 4), grouped(found.short_lists)});
    ++colour;
  }
  section.charts = {std::move(chart), ratio_by_hop(results)};
  section.bars = {std::move(m), std::move(n)};
  return section;
}

ReportedSection gain_section(const MemorizationResults& results) {
  const Index k = results.options.k;
  const std::string recall = at("recall", k);
  ReportedSection section;
  section.title = "Gain over " + results.over + ", split by group";
  section.caption = "Bars: users who are answered rightly now and were not before, less those who "
                    "were, as a part of all users; the two groups of a system sum to its gain in " +
                    recall + ". Shares are undefined where as many users are answered.";
  section.columns = {"system",         recall,         recall + " in M",
                     recall + " in N", "from group M", "from group N"};
  ReportedBars split{"gain by group, of all users", {}, true, 2},
      whole{"gain in " + recall, {}, true, 2};
  int colour = 0;
  for (const StudiedFile* one : results.all()) {
    if (one->gain) {
      const auto part = [&](double gain, Index users) {
        return users > 0 ? gain * static_cast<double>(users) / static_cast<double>(results.users)
                         : 0.0;
      };
      split.bars.push_back({"M · " + one->name, part(one->gain->m, results.group_m), colour});
      split.bars.push_back(
          {"N · " + one->name, part(one->gain->n, results.users - results.group_m), colour});
      whole.bars.push_back({one->name, one->gain->all, colour});
      section.rows.push_back({one->name, fixed(one->gain->all, 4), fixed(one->gain->m, 4),
                              fixed(one->gain->n, 4), percent(one->gain->share_m, 1),
                              percent(one->gain->share_n, 1)});
    }
    ++colour;
  }
  section.bars = {std::move(split), std::move(whole)};
  return section;
}

ReportedSection label_section(const MemorizationResults& results) {
  ReportedSection section;
  section.title = "Memorization and generalization, by MemGen";
  section.caption =
      "An item is memorized where it directly followed the last item of the input in training. "
      "Otherwise it may be tied to the last items by other ways through training, of which several "
      "may hold: those sum to more. First what users chose, then what systems list.";
  section.columns = {"items", "memorization", "generalization", "uncategorized"};
  for (const char* name : analysis::names_of_generalizations) {
    std::string words = name;
    for (char& c : words) { c = c == '_' ? ' ' : c; }
    section.columns.push_back(words);
  }
  ReportedBars memorized{"memorized", {}, true, 1}, uncategorized{"uncategorized", {}, true, 1};
  const auto add = [&](const std::string& name, const analysis::MemGenCounts& counts, int colour) {
    std::vector<std::string> row{name, percent(counts.share(counts.memorization)),
                                 percent(counts.share(counts.generalization)),
                                 percent(counts.share(counts.uncategorized))};
    for (const auto& hops : counts.by_hop) {
      Index sum = 0;
      for (const Index count : hops) { sum += count; }
      row.push_back(percent(counts.share(sum)));
    }
    section.rows.push_back(std::move(row));
    memorized.bars.push_back({name, counts.share(counts.memorization), colour});
    uncategorized.bars.push_back({name, counts.share(counts.uncategorized), colour});
  };
  add("test targets", results.targets, -1);
  int colour = 0;
  for (const StudiedFile* one : results.all()) { add(one->name, one->numbers.labels, colour++); }
  section.bars = {std::move(memorized), std::move(uncategorized)};
  return section;
}

}  // namespace

std::string memorization_page(const MemorizationResults& results) {
  const analysis::CandidateOptions& options = results.options.candidates;
  simgr::eval::Report page(
      "Memorization: " + results.data,
      "test split, leave one out; candidates: successors in training of " +
          (options.last > 0 ? "the last " + std::to_string(options.last) + " items"
                            : std::string("all items")) +
          " of the input, " +
          (options.most > 0 ? "the " + std::to_string(options.most) + " most frequent"
                            : std::string("all of them")) +
          ", seen items " + (options.keep_seen ? "kept" : "removed"));
  page.add_fact("users", grouped(results.users));
  page.add_fact("items", grouped(results.items));
  page.add_fact("transitions", grouped(results.transitions));
  page.add_fact("group M", grouped(results.group_m) + ", " + percent(results.group_m_share()));
  page.add_fact("candidates a user", fixed(results.mean_candidates, 2));
  page.add(recall_section(results));
  if (!results.over.empty()) {
    page.add(gain_section(results));
  }
  page.add(label_section(results));
  for (const StudiedFile& system : results.systems) {
    page.add_note(system.name + ": " + system.kind + ", " + system.file);
  }
  return page.html();
}

}  // namespace simgr_cli
