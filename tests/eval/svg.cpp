// SPDX-License-Identifier: Apache-2.0
#include <simgr/eval/svg.hpp>

#include <cmath>
#include <random>
#include <string>

#include <doctest/doctest.h>

using namespace simgr::eval;

TEST_CASE("Numbers are written the same in every locale") {
  CHECK(fixed(1234.5, 2) == "1234.50");
  CHECK(fixed(-0.25, 1) == "-0.2");
  CHECK(fixed(std::nan(""), 3) == "–");
  CHECK(fixed(1e300, 0).size() == 301);
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(12101) == "12,101");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(grouped(-123) == "-123");
}

TEST_CASE("Ticks stand at round numbers inside the axis") {
  const Axis axis{0.013, 0.042, 0, 100, false};
  const auto ticks = axis.ticks(6);
  REQUIRE(ticks.size() == 6);
  CHECK(ticks.front().second == "0.015");
  CHECK(ticks.back().second == "0.040");
  CHECK(Axis{0, 6, 0, 100, false}.ticks(6).front().second == "0");
  std::mt19937 rng(1);
  for (int round = 0; round < 2000; ++round) {
    const double low = static_cast<double>(rng() % 1000) / 7 - 50;
    const double range =
        std::pow(10.0, static_cast<double>(rng() % 9) - 4) * (1 + static_cast<double>(rng() % 9));
    const Axis any{low, low + range, 0, 1, false};
    const auto found = any.ticks(6);
    REQUIRE(found.size() >= 2);
    REQUIRE(found.size() <= 7);
    for (const auto& tick : found) {
      REQUIRE(any(tick.first) >= -1e-6);
      REQUIRE(any(tick.first) <= 1 + 1e-6);
    }
  }
}

TEST_CASE("Ticks end where the range of an axis is a few last places wide") {
  for (const double low : {1.0, 0.37, 1e15, -3.0, 1e-300}) {
    double high = low;
    for (int places = 0; places <= 40; ++places, high = std::nextafter(high, 1e300)) {
      const auto ticks = Axis{low, high, 0, 1, false}.ticks(6);
      REQUIRE(ticks.size() <= 13);
      for (std::size_t i = 1; i < ticks.size(); ++i) {
        REQUIRE(ticks[i - 1].first < ticks[i].first);
      }
    }
  }
}

TEST_CASE("Logarithmic axes tick at powers of ten") {
  const Axis axis{0.002, 300, 0, 1, true};
  std::string labels;
  for (const auto& tick : axis.ticks(6)) { labels += tick.second + " "; }
  CHECK(labels == "0.01 0.1 1 10 100 ");
  CHECK(axis(0.002) == doctest::Approx(0));
  CHECK(axis(300) == doctest::Approx(1));
}

TEST_CASE("A chart of one point, of equal values and of none is drawn") {
  LineChart chart{"l", "x", "y", false, false, {{"a", 0, {{3, 0.5}}, false}}};
  CHECK(draw(chart).find("<circle") != std::string::npos);
  chart.series[0].points = {{1, 0.5}, {2, 0.5}};
  CHECK(draw(chart).find("nan") == std::string::npos);
  chart.series[0].points = {{1, std::nan("")}};
  CHECK(draw(chart).find("nothing to show") != std::string::npos);
  chart.logarithmic_x = true;
  chart.series[0].points = {{0, 2}};
  CHECK(draw(chart).find("nothing to show") != std::string::npos);
  chart.series[0].points = {{1, 0}};
  CHECK(draw(chart).find("<circle") != std::string::npos);
  chart.logarithmic_y = true;
  chart.series[0].points = {{1, 0}, {0, 2}};
  CHECK(draw(chart).find("nothing to show") != std::string::npos);
  chart.series[0].points = {{1, 0}, {2, 4}};
  CHECK(draw(chart).find("nan") == std::string::npos);
}

TEST_CASE("Bars of any value stay on the page, and long names are cut between letters") {
  const std::string svg = draw_bars(
      "l", {{"a", -1, 0}, {"b", 0, 1}, {std::string(18, 'x') + "äöü and more", 2, 9}}, true, 1);
  CHECK(svg.find("width=\"-") == std::string::npos);
  CHECK(svg.find("200.0 %") != std::string::npos);
  CHECK(svg.find(">xxxxxxxxxxxxxxxxxx…<") != std::string::npos);
  CHECK(draw_bars("l", {}, false, 2).find("</svg>") != std::string::npos);
}

TEST_CASE("Bars below zero go to the left of it") {
  const std::string svg =
      draw_bars("l", {{"a", 3, 0}, {"b", -1, 1}, {"c", std::nan(""), 2}}, false, 1);
  // From -1 at 150 to 3 at 440.
  CHECK(svg.find("<rect x=\"222.5\" y=\"6.0\" width=\"217.5\"") != std::string::npos);
  CHECK(svg.find("<rect x=\"150.0\" y=\"36.0\" width=\"72.5\"") != std::string::npos);
  CHECK(svg.find("x=\"230.5\" y=\"50.0\" text-anchor=\"start\">-1.0<") != std::string::npos);
  CHECK(svg.find("<rect x=\"222.5\" y=\"66.0\" width=\"0.0\"") != std::string::npos);
  CHECK(draw_bars("l", {{"a", -2, 0}}, false, 1)
            .find("<rect x=\"150.0\" y=\"6.0\" width=\"290.0\"") != std::string::npos);
}

TEST_CASE("An interval lies across the end of its bar, where there is one") {
  const std::string svg = draw_bars("l", {{"a", 2, 0, 1, 4}, {"b", 3, 1}}, false, 1);
  // The highest end, 4, is at 440; 150 is zero.
  CHECK(svg.find("class=\"whisker\" x1=\"222.5\" y1=\"15.5\" x2=\"440.0\"") != std::string::npos);
  CHECK(svg.find("width=\"145.0\"") != std::string::npos);
  CHECK(svg.find("y1=\"45.5\"") == std::string::npos);  // the second bar has none
}

TEST_CASE("A logarithmic axis leaves the other one linear") {
  const LineChart chart{"l", "x", "y", true, false, {{"a", 0, {{1, 0}, {10, 1}, {100, 2}}}}};
  const std::string svg = draw(chart);
  CHECK(svg.find("M66.0 254.0L287.0") != std::string::npos);  // ten stands half way
  LineChart dashed = chart;
  dashed.series[0].dashed = true;
  CHECK(svg.find("dasharray") == std::string::npos);
  CHECK(draw(dashed).find("dasharray") != std::string::npos);
}
