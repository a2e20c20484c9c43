// SPDX-License-Identifier: Apache-2.0
#include <simgr/eval/report.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace {

using namespace simgr::eval;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}
bool page_has(const std::string& text, const std::string& part) {
  return count(text, part) != 0;
}

/// Every tag that is opened is closed, in order; attributes hold no stray '<'.
std::string first_unbalanced_tag(const std::string& page) {
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    const std::size_t end = page.find('>', at);
    const std::string tag = page.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.front() == '!' || tag.back() == '/' || name == "meta") {
      continue;
    }
    if (tag.front() != '/') {
      open.push_back(name);
    } else if (open.empty() || "/" + open.back() != tag) {
      return tag;
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

ReportedModel model(const std::string& name, double hr) {
  ReportedModel m;
  m.name = name;
  m.hr = hr;
  m.ndcg = hr / 2;
  m.coverage = 0.25;
  m.entropy = 3;
  m.entropy_normalised = 0.5;
  m.curve = {{1, 5.0, 0.01}, {2, 4.0, 0.03}, {3, 3.5, 0.02}};
  m.frequency = {5, 0, 3, 1};
  return m;
}

}  // namespace

TEST_CASE("A report names its models and shows their numbers") {
  Report report("Beauty", "test split, seen items kept");
  report.add_fact("items", "12,101");
  report.set_truth("test targets", {4, 3, 2, 1});
  report.add(model("SASRec", 0.0812));
  report.add(model("SimGR", 0.0822));
  report.add_note("One command made this.");
  const std::string page = report.html();
  CHECK(page.rfind("<!doctype html>", 0) == 0);
  for (const char* part : {"Beauty", "seen items kept", "12,101", "SASRec", "SimGR", "0.0812",
                           "<td class=\"best\">0.0822", "25.0 %", "test targets", "One command"}) {
    INFO(part);
    CHECK(page_has(page, part));
  }
  CHECK(first_unbalanced_tag(page) == "");
  CHECK(count(page, "<svg viewBox") == 7);
  CHECK(page_has(page, "0.0300 at 2"));  // the best epoch is marked
}

TEST_CASE("A report without models has the caller's own parts alone, with bars beside charts") {
  Report report("Memorization", "p");
  report.add(ReportedSection{.title = "Own",
                             .caption = "c",
                             .charts = {{"chart", "x", "y", false, false, {{"a", 0, {{1, 1}}}}}},
                             .columns = {},
                             .rows = {},
                             .bars = {{"<bars>", {{"a", 0.25, 0}}, true, 1}}});
  const std::string page = report.html();
  CHECK(count(page, "<section>") == 1);
  CHECK(count(page, "<svg viewBox") == 2);
  CHECK(page_has(page, "<figcaption>&lt;bars&gt;"));
  CHECK(page_has(page, "25.0 %"));
  CHECK(first_unbalanced_tag(page) == "");
}

TEST_CASE("Every one of forty models is told apart by its line, in the legend as in the charts") {
  Report report("t", "p");
  for (int m = 0; m < 40; ++m) { report.add(model("m" + std::to_string(m), 0.1)); }
  const std::string page = report.html();
  std::vector<std::string> samples;
  for (int m = 0; m < 40; ++m) {
    const std::size_t name = page.find(">m" + std::to_string(m) + "</li>"),
                      stroke = page.rfind("stroke=", name);
    REQUIRE(name != std::string::npos);
    samples.push_back(page.substr(stroke, page.find("/>", stroke) - stroke));
    CHECK(page_has(page, samples.back() + "><title>m" + std::to_string(m) + "<"));
  }
  std::sort(samples.begin(), samples.end());
  CHECK(std::adjacent_find(samples.begin(), samples.end()) == samples.end());
}

TEST_CASE("A report needs nothing from outside and holds no script") {
  Report report("t", "p");
  report.add(model("m", 0.1));
  const std::string page = report.html();
  for (const char* part : {"<script", "http", "url(", "@import", "<link", "src="}) {
    INFO(part);
    CHECK_FALSE(page_has(page, part));
  }
  for (const char* part : {"prefers-color-scheme:dark", "@media print", "<meta charset"}) {
    INFO(part);
    CHECK(page_has(page, part));
  }
}

TEST_CASE("Names from outside cannot become markup") {
  const std::string evil = "<script>alert('x')</script>\"&\x01";
  Report report(evil, evil);
  report.add_fact(evil, evil);
  report.add_note(evil);
  report.set_truth(evil, {1, 2});
  auto m = model(evil, 0.1);
  report.add(m);
  const std::string page = report.html();
  CHECK_FALSE(page_has(page, "<script"));
  CHECK_FALSE(page_has(page, "\x01"));
  CHECK(first_unbalanced_tag(page) == "");
  CHECK(escape_html("a<b>&\"'\n\x7f") == "a&lt;b&gt;&amp;&quot;&#39;\n\xEF\xBF\xBD");
  CHECK(escape_html("Größe – 名前") == "Größe – 名前");
}

TEST_CASE("What was not measured is a dash, never NaN") {
  Report report("t", "p");
  ReportedModel m;
  m.name = "popularity";
  report.add(m);
  report.add(m);
  auto broken = model("broken", std::nan(""));
  broken.curve = {{1, std::nan(""), INFINITY}, {2, INFINITY, std::nan("")}};
  broken.frequency.assign(4, 0);
  report.add(broken);
  const std::string page = report.html();
  CHECK_FALSE(page_has(page, "nan"));
  CHECK_FALSE(page_has(page, "inf\""));
  CHECK(page_has(page, "–"));
  CHECK(first_unbalanced_tag(page) == "");
}

TEST_CASE("A section of the caller's own has charts, a legend and a table") {
  Report report("t", "p");
  ReportedSection section{
      "Lists by <length>", "how & why", {}, {"model", "p"}, {{"a<b", "0.5"}, {"c"}}};
  section.charts.push_back(
      {"coverage <k>", "k", "share", true, false, {{"m<1", 0, {{1, 2}, {3, 4}}}}});
  section.charts.push_back({"entropy", "k", "nats", true, false, {{"m<1", 0, {{1, 2}, {3, 4}}}}});
  report.add(section);
  const std::string page = report.html();
  CHECK(first_unbalanced_tag(page) == "");
  for (const char* part : {"Lists by &lt;length&gt;", "how &amp; why", "coverage &lt;k&gt;",
                           "<th>a&lt;b</th><td>0.5</td>", "<th>c</th><td>–</td>"}) {
    INFO(part);
    CHECK(page_has(page, part));
  }
  CHECK(count(page, "m&lt;1</li>") == 1);  // once in the legend of both charts
}

TEST_CASE("Intervals stand across the bars of accuracy, and only where they were computed") {
  Report report("t", "p");
  auto with = model("a", 0.2);
  with.hr_interval = {0.1, 0.3};
  report.add(with);
  report.add(model("b", 0.1));
  CHECK(count(report.html(), "class=\"whisker\"") == 3);  // one bar, one line and its two ends
}

TEST_CASE("An empty report is a page") {
  const std::string page = Report("empty", "").html();
  CHECK(first_unbalanced_tag(page) == "");
}
