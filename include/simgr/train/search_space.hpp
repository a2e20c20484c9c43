// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/rng.hpp>

namespace simgr::SIMGR_ABI::train {

/// One setting of a configuration, as text that try_set_field reads.
struct Chosen {
  std::string name, value;
  bool operator==(const Chosen&) const = default;
};
/// What one trial is trained with, besides what all trials have in common.
using Configuration = std::vector<Chosen>;

/// One setting that a search tries.
struct SearchDimension {
  std::string name, usual;           // of the field; its default
  double least = 0, most = 0;        // without choices
  bool logarithmic = false;          // equal ratios are equally likely, not equal steps
  bool whole = false;                // whole numbers alone
  std::vector<std::string> choices;  // words or numbers, equally likely; empty: a range
};

namespace detail {

inline std::optional<double> finite_number(std::string_view text) {
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc{} && end.ptr == text.data() + text.size() && std::isfinite(value)
             ? std::optional(value)
             : std::nullopt;
}

/// The parts of a text between separators, empty ones too.
inline std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator)) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

/// `1e-4..1e-2:log:int` or `64|128` into a dimension; a sentence where it is neither.
inline std::string read_values(std::string_view text, SearchDimension& dimension) {
  auto parts = parts_of(text, ':');
  const std::size_t dots = parts[0].find("..");
  if (dots == std::string_view::npos) {
    if (parts.size() > 1) {
      return "only a range, least..most, is followed by a colon";
    }
    for (const std::string_view choice : parts_of(parts[0], '|')) {
      const auto& known = dimension.choices;
      if (choice.empty()) {
        return "found an empty choice";
      }
      if (std::find(known.begin(), known.end(), choice) != known.end()) {
        return "the choice " + std::string(choice) + " stands twice";
      }
      dimension.choices.emplace_back(choice);
    }
    return {};
  }
  const auto least = finite_number(parts[0].substr(0, dots)),
             most = finite_number(parts[0].substr(dots + 2));
  if (!least || !most || !(*least < *most)) {
    return "expected least..most, two numbers of which the first is smaller";
  }
  dimension.least = *least;
  dimension.most = *most;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    bool& flag = parts[i] == "log" ? dimension.logarithmic : dimension.whole;
    if ((parts[i] != "log" && parts[i] != "int") || flag) {
      return "expected log or int behind a colon, each once, found \"" + std::string(parts[i]) +
             "\"";
    }
    flag = true;
  }
  if (dimension.logarithmic && *least <= 0) {
    return "a logarithmic range begins above 0";
  }
  constexpr double exact = 9007199254740992.0;  // beyond, not every whole number is a double
  if (dimension.whole && !(*least == std::floor(*least) && *most == std::floor(*most) &&
                           *least >= -exact && *most <= exact)) {
    return "a range of whole numbers has whole ends, of at most 2^53";
  }
  return {};
}

/// Three significant digits: nobody tunes more, and people read them.
inline std::string rounded(double value, double least, double most) {
  char text[64];
  auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 3);
  const double read = finite_number({text, static_cast<std::size_t>(end.ptr - text)}).value_or(0);
  if (read < least || read > most) {  // rounded out of the range
    end = std::to_chars(text, text + sizeof text, read < least ? least : most);
  }
  return {text, end.ptr};
}

}  // namespace detail

/// The settings that a search tries, as data:
///
///   optimizer.rate=1e-4..1e-2:log,encoder.layers=1..4:int,encoder.width=64|128
///
/// A dimension is `name=least..most`, uniform, with `:log` uniform in the logarithm, with `:int`
/// over whole numbers, both ends included; or `name=a|b|c`. A name is that of a field, or its end
/// behind a point where no other field ends so: `rate`.
class SearchSpace {
public:
  /// @param fields  of the model and its training, with their usual values
  ///
  /// Errors  ConfigError naming the dimension: unreadable, unknown, of two meanings, or twice.
  ///         Whether a field takes the values is for the fields' own check.
  static Result<SearchSpace> try_parse(std::string_view text, std::span<const FieldText> fields) {
    SearchSpace space;
    for (const std::string_view part : detail::parts_of(text, ',')) {
      const std::size_t equals = part.find('=');
      const auto broken = [&](const std::string& sentence) {
        return ConfigError("\"" + std::string(part.substr(0, 200)) + "\": " + sentence);
      };
      if (equals == std::string_view::npos || equals == 0) {
        return broken("expected name=least..most or name=a|b|c");
      }
      SearchDimension dimension;
      std::string sentence = resolve(part.substr(0, equals), fields, dimension);
      if (sentence.empty()) {
        sentence = detail::read_values(part.substr(equals + 1), dimension);
      }
      for (const SearchDimension& other : space.dimensions_) {
        if (sentence.empty() && other.name == dimension.name) {
          sentence = dimension.name + " stands twice";
        }
      }
      if (!sentence.empty()) {
        return broken(sentence);
      }
      space.dimensions_.push_back(std::move(dimension));
    }
    return space;
  }

  std::span<const SearchDimension> dimensions() const noexcept { return dimensions_; }

  /// What trial `trial` tries: of trial 0 the usual values, of every other a draw that none before
  /// it made. A function of its arguments alone.
  ///
  /// @param earlier  what the trials before it try
  /// @return         nothing where a thousand draws found no other: the space is used up
  std::optional<Configuration> configuration(std::uint64_t seed, Index trial,
                                             std::span<const Configuration> earlier) const {
    Rng rng(seed, static_cast<std::uint64_t>(trial));
    for (int attempt = 0; attempt < 1000; ++attempt) {
      Configuration drawn;
      for (const SearchDimension& dimension : dimensions_) {
        drawn.push_back({dimension.name, trial == 0 ? dimension.usual : draw(dimension, rng)});
      }
      if (std::find(earlier.begin(), earlier.end(), drawn) == earlier.end()) {
        return drawn;
      }
    }
    return std::nullopt;
  }

private:
  /// Finds the field that a name means.
  static std::string resolve(std::string_view name, std::span<const FieldText> fields,
                             SearchDimension& dimension) {
    const FieldText* found = nullptr;
    std::string meanings;
    std::vector<std::string> names;
    for (const FieldText& field : fields) {
      names.push_back(field.name);
      if (field.name == name) {
        dimension.name = field.name;
        dimension.usual = field.value;
        return {};
      }
      if (field.name.ends_with("." + std::string(name))) {
        meanings += (found == nullptr ? "" : ", ") + field.name;
        found = found == nullptr ? &field : found;
      }
    }
    if (found == nullptr) {
      std::string sentence = "no setting is named so; near names:";
      for (const std::string& near : nearest_names(name, names)) { sentence += " " + near; }
      return sentence;
    }
    if (meanings != found->name) {
      return "this may mean " + meanings;
    }
    dimension.name = found->name;
    dimension.usual = found->value;
    return {};
  }

  static std::string draw(const SearchDimension& dimension, Rng& rng) {
    if (!dimension.choices.empty()) {
      return dimension.choices[static_cast<std::size_t>(rng.below(std::ssize(dimension.choices)))];
    }
    const double beyond = dimension.whole ? dimension.most + 1 : dimension.most;
    const double share = rng.uniform();
    const double value = dimension.logarithmic
                             ? std::exp(std::log(dimension.least) +
                                        share * (std::log(beyond) - std::log(dimension.least)))
                             : dimension.least + share * (beyond - dimension.least);
    return dimension.whole ? std::to_string(static_cast<std::int64_t>(
                                 std::clamp(std::floor(value), dimension.least, dimension.most)))
                           : detail::rounded(value, dimension.least, dimension.most);
  }

  std::vector<SearchDimension> dimensions_;
};

}  // namespace simgr::SIMGR_ABI::train
