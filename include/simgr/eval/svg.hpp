// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/types.hpp>

// Charts as text: inline SVG whose colours are the CSS variables --s0 … --s7 (series), --truth,
// --line and --muted of the page around it, so one drawing serves light, dark and paper.

namespace simgr::SIMGR_ABI::eval {

/// Text as it may stand in HTML and in quoted attributes: the five special characters become
/// entities, control characters become U+FFFD.
inline std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
    case '&':
      escaped += "&amp;";
      break;
    case '<':
      escaped += "&lt;";
      break;
    case '>':
      escaped += "&gt;";
      break;
    case '"':
      escaped += "&quot;";
      break;
    case '\'':
      escaped += "&#39;";
      break;
    default:
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
        escaped += "\xEF\xBF\xBD";
      } else {
        escaped += c;
      }
    }
  }
  return escaped;
}

/// A number with `digits` decimals, the same in every locale; a dash where it is absent.
inline std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) {
    return "–";
  }
  char text[400];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, digits);
  return {text, end.ptr};
}

/// A count with thousands set apart: 12,101.
inline std::string grouped(Index value) {
  std::string text = std::to_string(value);
  const Index first = value < 0 ? 1 : 0;
  for (Index at = static_cast<Index>(text.size()) - 3; at > first; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

/// A tick label with as many decimals as the distance of ticks needs.
inline std::string tick_text(double value, double step) {
  if (std::abs(value) >= 1000) {
    return grouped(static_cast<Index>(std::llround(value)));
  }
  const double decimals = std::ceil(-std::log10(step) - 1e-9);
  return fixed(value, static_cast<int>(std::clamp(decimals, 0.0, 8.0)));
}

/// Distance of ticks: 1, 2 or 5 times a power of ten, giving at most about `count` of them.
inline double tick_step(double range, int count) {
  const double raw = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double digit = raw / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

/// One axis: values to coordinates, linear or logarithmic.
struct Axis {
  double low = 0, high = 1;
  double from = 0, to = 1;  // coordinates of low and high
  bool logarithmic = false;

  double operator()(double value) const noexcept {
    const double part = logarithmic
                            ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low))
                            : (value - low) / (high - low);
    return from + part * (to - from);
  }
  /// Values and labels of the ticks.
  std::vector<std::pair<double, std::string>> ticks(int count) const {
    std::vector<std::pair<double, std::string>> result;
    if (logarithmic) {
      for (double exponent = std::ceil(std::log10(low) - 1e-9); exponent <= std::log10(high) + 1e-9;
           exponent += 1) {
        const double value = std::pow(10.0, exponent);
        result.emplace_back(value, exponent >= 0 ? tick_text(value, 1)
                                                 : fixed(value, static_cast<int>(-exponent)));
      }
      return result;
    }
    const double step = tick_step(high - low, count);
    const double first = std::ceil(low / step - 1e-9);
    for (int i = 0; i <= 2 * count; ++i) {  // where steps are below rounding, values would repeat
      const double value = (first + i) * step;
      if (!(value <= high + step * 1e-9)) {
        break;
      }
      if (result.empty() || value > result.back().first) {
        result.emplace_back(value, tick_text(value + 0.0, step));  // + 0.0: never -0
      }
    }
    return result;
  }
};

/// One line of a chart.
struct Series {
  std::string name;
  int colour = 0;  // by place of the model, from 0; -1 the truth
  std::vector<std::pair<double, double>> points;
  bool mark_highest = false;
  bool dashed = false;
};

/// Lines over common axes, with the texts around them.
struct LineChart {
  std::string label;  // what is shown, for readers of the page who do not see it
  std::string x_title, y_title;
  bool logarithmic_x = false, logarithmic_y = false;
  std::vector<Series> series;
};

namespace detail {

inline std::string colour_of(int colour) {
  return colour < 0 ? "var(--truth)" : "var(--s" + std::to_string(colour % 8) + ")";
}
inline std::string coordinate(double value) {
  return fixed(value, 1);
}
inline std::string text_at(double x, double y, std::string_view anchor, std::string_view text,
                           std::string_view kind) {
  return "<text class=\"" + std::string(kind) + "\" x=\"" + coordinate(x) + "\" y=\"" +
         coordinate(y) + "\" text-anchor=\"" + std::string(anchor) + "\">" + escape_html(text) +
         "</text>";
}
inline std::string line_at(double x1, double y1, double x2, double y2,
                           std::string_view kind = "grid") {
  return "<line class=\"" + std::string(kind) + "\" x1=\"" + coordinate(x1) + "\" y1=\"" +
         coordinate(y1) + "\" x2=\"" + coordinate(x2) + "\" y2=\"" + coordinate(y2) + "\"/>";
}
/// More than eight series share colours and differ by their dashes, of which there are five: forty
/// models and as many dashed lines beside them are all told apart.
inline std::string dashes_of(int colour, bool dashed) {
  constexpr std::string_view plain[] = {"", "9 4", "14 3 3 3", "9 3 2 3 2 3", "18 5"};
  constexpr std::string_view apart[] = {"3 3", "5 2 2 2", "3 3 3 8", "2 2 2 6", "1 3"};
  const auto round = static_cast<std::size_t>(std::max(0, colour) / 8 % 5);
  const std::string_view dashes = colour < 0 ? "2 4" : dashed ? apart[round] : plain[round];
  return dashes.empty() ? "" : " stroke-dasharray=\"" + std::string(dashes) + "\"";
}
/// A piece of the line of a series, for legends and tables.
inline std::string sample_of(int colour, bool dashed = false) {
  return "<svg class=\"sample\" viewBox=\"0 0 36 10\" aria-hidden=\"true\"><path class=\"curve\" "
         "d=\"M0 5L36 5\" stroke=\"" +
         colour_of(colour) + "\"" + dashes_of(colour, dashed) + "/></svg>";
}

}  // namespace detail

/// Lines over common axes, 520 × 300 units. Points that are not finite, or not positive on a
/// logarithmic axis, are left out; a chart without a point says so.
inline std::string draw(const LineChart& chart) {
  using namespace detail;
  constexpr double infinite = std::numeric_limits<double>::infinity();
  constexpr double left = 66, right = 508, top = 14, bottom = 254;
  const auto shown = [&](const std::pair<double, double>& point) {
    return std::isfinite(point.first) && std::isfinite(point.second) &&
           (!chart.logarithmic_x || point.first > 0) && (!chart.logarithmic_y || point.second > 0);
  };
  Axis x{infinite, -infinite, left, right, chart.logarithmic_x};
  Axis y{infinite, -infinite, bottom, top, chart.logarithmic_y};
  for (const Series& series : chart.series) {
    for (const auto& point : series.points) {
      if (shown(point)) {
        x.low = std::min(x.low, point.first);
        x.high = std::max(x.high, point.first);
        y.low = std::min(y.low, point.second);
        y.high = std::max(y.high, point.second);
      }
    }
  }
  std::string svg =
      "<svg viewBox=\"0 0 520 300\" role=\"img\" aria-label=\"" + escape_html(chart.label) + "\">";
  if (!(x.low <= x.high)) {
    return svg + text_at(260, 150, "middle", "nothing to show", "tick") + "</svg>";
  }
  x.high = chart.logarithmic_x ? std::max(x.high, x.low * 10) : x.high > x.low ? x.high : x.low + 1;
  if (chart.logarithmic_y) {
    y.high = std::max(y.high, y.low * 10) * 1.2;
    y.low *= 0.8;
  } else {
    const double room = y.high > y.low ? 0.06 * (y.high - y.low) : std::max(1e-6, std::abs(y.low));
    y.low = y.low >= 0 ? std::max(0.0, y.low - room) : y.low - room;
    y.high += room;
  }
  for (const auto& [value, label] : y.ticks(6)) {
    svg += line_at(left, y(value), right, y(value)) +
           text_at(left - 8, y(value) + 4, "end", label, "tick");
  }
  for (const auto& [value, label] : x.ticks(8)) {
    svg += line_at(x(value), bottom, x(value), bottom + 4) +
           text_at(x(value), bottom + 18, "middle", label, "tick");
  }
  svg += line_at(left, bottom, right, bottom);
  svg += text_at((left + right) / 2, 293, "middle", chart.x_title, "axis");
  svg +=
      "<text class=\"axis\" transform=\"translate(12 134) rotate(-90)\" text-anchor=\"middle\">" +
      escape_html(chart.y_title) + "</text>";
  for (const Series& series : chart.series) {
    std::string path;
    const std::pair<double, double>* highest = nullptr;
    for (const auto& point : series.points) {
      if (shown(point)) {
        path += (path.empty() ? "M" : "L") + coordinate(x(point.first)) + " " +
                coordinate(y(point.second));
        highest = highest == nullptr || point.second > highest->second ? &point : highest;
      }
    }
    if (path.empty()) {
      continue;
    }
    const std::string colour = colour_of(series.colour);
    svg += "<path class=\"curve\" d=\"" + path + "\" stroke=\"" + colour + "\"" +
           dashes_of(series.colour, series.dashed) + "><title>" + escape_html(series.name) +
           "</title></path>";
    if (series.mark_highest || series.points.size() == 1) {
      svg += "<circle class=\"mark\" cx=\"" + coordinate(x(highest->first)) + "\" cy=\"" +
             coordinate(y(highest->second)) + "\" r=\"4.5\" fill=\"" + colour + "\"><title>" +
             escape_html(series.name) + ": " + fixed(highest->second, 4) + " at " +
             fixed(highest->first, 0) + "</title></circle>";
    }
  }
  return svg + "</svg>";
}

/// One horizontal bar; a value that is not finite is a dash.
struct Bar {
  std::string name;
  double value = 0;
  int colour = 0;
  double low = std::numeric_limits<double>::quiet_NaN(),
         high = low;  // of an interval, where finite
};

/// Horizontal bars from zero, the value written beside each and its interval across the end, 520
/// units wide; a value below zero goes to the left of it. `percent` writes fractions as percent.
inline std::string draw_bars(std::string_view label, const std::vector<Bar>& bars, bool percent,
                             int digits) {
  using namespace detail;
  constexpr double left = 150, right = 440, step = 30;
  double most = 0, least = 0;
  for (const Bar& bar : bars) {
    most = std::isfinite(bar.value) ? std::max(most, bar.value) : most;
    most = std::isfinite(bar.high) ? std::max(most, bar.high) : most;
    least = std::isfinite(bar.value) ? std::min(least, bar.value) : least;
  }
  const double zero = left - (least < 0 ? least / (most - least) * (right - left) : 0);
  const double height = step * static_cast<double>(bars.size()) + 12;
  std::string svg = "<svg viewBox=\"0 0 520 " + coordinate(height) +
                    "\" role=\"img\" aria-label=\"" + escape_html(label) + "\">";
  svg += line_at(zero, 2, zero, height - 4);
  double y = 6;
  for (const Bar& bar : bars) {
    const auto length_of = [&](double part) {
      return most > 0 && part > 0 && std::isfinite(part) ? part / most * (right - zero) : 0;
    };
    const double length = length_of(bar.value), high = std::max(length, length_of(bar.high));
    const double below =
        bar.value < 0 && std::isfinite(bar.value) ? bar.value / least * (zero - left) : 0;
    // A name longer than its place is cut by the eye's measure of 20 letters; the title has it all.
    std::string name = bar.name;
    if (name.size() > 20) {
      std::size_t cut = 19;
      while (cut > 0 && (static_cast<unsigned char>(name[cut]) & 0xc0u) == 0x80u) { --cut; }
      name = name.substr(0, cut) + "…";
    }
    const std::string value =
        std::isfinite(bar.value)
            ? (percent ? fixed(100 * bar.value, digits) + " %" : fixed(bar.value, digits))
            : fixed(bar.value, digits);
    svg += "<g><title>" + escape_html(bar.name) + ": " + value + "</title>" +
           text_at(left - 10, y + 14, "end", name, "name") + "<rect x=\"" +
           coordinate(zero - below) + "\" y=\"" + coordinate(y) + "\" width=\"" +
           coordinate(length + below) + "\" height=\"19\" rx=\"3\" fill=\"" +
           colour_of(bar.colour) + "\"/>";
    if (std::isfinite(bar.low) && std::isfinite(bar.high)) {
      const double from = zero + length_of(bar.low), to = zero + high, middle = y + 9.5;
      svg += line_at(from, middle, to, middle, "whisker") +
             line_at(from, middle - 4, from, middle + 4, "whisker") +
             line_at(to, middle - 4, to, middle + 4, "whisker");
    }
    svg += text_at(zero + high + 8, y + 14, "start", value, "value") + "</g>";
    y += step;
  }
  return svg + "</svg>";
}

}  // namespace simgr::SIMGR_ABI::eval
