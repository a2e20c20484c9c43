// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/types.hpp>

// One list of fields. A Config names its fields once, in a static member
//
//   template <class F, class C>
//   static void for_each_field(C& c, F&& f) {
//     f(Field{"width", 1, 65536, "width of the model"}, c.width);
//     fields_of("encoder", c.encoder, f);            // a Config inside a Config
//   }
//
// and range checks, `--set name=value`, the text in a checkpoint and help texts are walks over it.
// An enumeration whose values count from 0 is written by its words, and read by word or
// number, where a function beside it names them:
//
//   constexpr std::array<std::string_view, 2> names_of(Norm) { return {"before", "after"}; }

namespace simgr::SIMGR_ABI {

/// Name, inclusive range and meaning of one number, flag or enumerator of a Config.
struct Field {
  std::string name;
  double least = std::numeric_limits<double>::lowest();
  double most = std::numeric_limits<double>::max();
  std::string_view meaning;
};

namespace detail {
// A walk with a prefix. Below it the same type walks on, so that a Config is compiled once, however
// deep it stands.
template <class F>
struct Prefixed {
  std::string prefix;
  F& walk;

  template <class V>
  void operator()(Field field, V& value) const {
    field.name = prefix + "." + field.name;
    walk(field, value);
  }
};
template <class F>
Prefixed<F> prefixed(std::string_view prefix, F& walk) {
  return {std::string(prefix), walk};
}
template <class F>
Prefixed<F> prefixed(std::string_view prefix, Prefixed<F>& outer) {
  return {outer.prefix + "." + std::string(prefix), outer.walk};
}
}  // namespace detail

/// Walks the fields of a nested Config, their names prefixed by `prefix` and a point.
template <class C, class F>
void fields_of(std::string_view prefix, C& config, F& f) {
  std::remove_const_t<C>::for_each_field(config, detail::prefixed(prefix, f));
}

/// The Config of a stage that has no numbers.
struct NoFields {
  template <class F, class C>
  static void for_each_field(C&, F&&) {}
};

/// A field as text: what checkpoints hold and `inspect` prints.
struct FieldText {
  std::string name, value;
  std::string range;  // "1 to 4096", "true or false", "before or after"; empty: any number
  std::string_view meaning;
};

namespace detail {

template <class V>
concept Worded = std::is_enum_v<V> && requires(V value) {
  names_of(value)[0];
};

/// What bounds are compared with: of a text its length.
template <class V>
double as_number(const V& value) {
  if constexpr (std::is_same_v<V, std::string>) {
    return static_cast<double>(value.size());
  } else {
    return static_cast<double>(value);
  }
}

/// Shortest text that parse_text reads back as the same value; enumerators are their numbers.
template <class V>
std::string as_text(const V& value) {
  if constexpr (std::is_same_v<V, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<V, std::string>) {
    return value;
  } else {
    if constexpr (Worded<V>) {
      const auto words = names_of(value);
      if (const auto place = static_cast<std::size_t>(value); place < words.size()) {
        return std::string(words[place]);
      }
    }
    char text[64];
    std::to_chars_result end{};
    if constexpr (std::is_enum_v<V>) {
      end = std::to_chars(text, text + sizeof text, static_cast<int>(value));
    } else {
      end = std::to_chars(text, text + sizeof text, value);
    }
    return {text, end.ptr};
  }
}

/// Takes the whole of `text` as a value; false where it is none.
template <class V>
bool parse_text(std::string_view text, V& value) {
  if constexpr (std::is_same_v<V, bool>) {
    value = text == "true" || text == "1" || text == "on";
    return value || text == "false" || text == "0" || text == "off";
  } else if constexpr (std::is_same_v<V, std::string>) {
    value = text;
    return true;
  } else {
    if constexpr (Worded<V>) {
      const auto words = names_of(value);
      const auto found = std::find(words.begin(), words.end(), text);
      if (found != words.end()) {
        value = static_cast<V>(found - words.begin());
        return true;
      }
    }
    std::conditional_t<std::is_enum_v<V>, int, V> number{};
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
    value = static_cast<V>(number);
    return end.ec == std::errc{} && end.ptr == text.data() + text.size();
  }
}

/// A bound: 1000000 and not 1e+06.
inline std::string bound_text(double bound) {
  return std::abs(bound) < 1e15 && bound == std::floor(bound)
             ? as_text(static_cast<std::int64_t>(bound))
             : as_text(bound);
}

/// What a field may be set to, or empty.
template <class V>
std::string range_text(const Field& field, const V& value) {
  if constexpr (std::is_same_v<V, bool>) {
    return "true or false";
  } else if constexpr (Worded<V>) {
    const auto first = static_cast<std::size_t>(field.least),
               last = static_cast<std::size_t>(field.most);
    std::string text;
    for (std::size_t i = first; i <= last; ++i) {
      text += (i == first ? "" : i == last ? " or " : ", ") + std::string(names_of(value)[i]);
    }
    return text;
  } else {
    const Field unbounded{};
    return field.least == unbounded.least && field.most == unbounded.most
               ? ""
               : bound_text(field.least) + " to " + bound_text(field.most);
  }
}

/// Levenshtein distance, for "did you mean".
inline Index edit_distance(std::string_view a, std::string_view b) {
  std::vector<Index> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) { row[j] = static_cast<Index>(j); }
  for (std::size_t i = 0; i < a.size(); ++i) {
    Index diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const Index change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min(change, std::min(diagonal, row[j]) + 1);
    }
  }
  return row.back();
}

}  // namespace detail

/// The names nearest to `name`, best first, at most three: the end of every "unknown …" message.
/// A name that contains `name` counts as nearest of all.
inline std::vector<std::string> nearest_names(std::string_view name,
                                              const std::vector<std::string>& names) {
  std::vector<std::pair<Index, std::string>> ranked;
  for (const std::string& candidate : names) {
    const bool inside = candidate.find(name) != std::string::npos;
    ranked.emplace_back(inside ? 0 : detail::edit_distance(name, candidate), candidate);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < ranked.size() && i < 3; ++i) { nearest.push_back(ranked[i].second); }
  return nearest;
}

namespace detail {

// The walks of the functions below: types of their own, so that all Configs share them.
struct ListFields {
  std::vector<FieldText>& fields;

  template <class V>
  void operator()(const Field& field, const V& value) const {
    fields.push_back({field.name, as_text(value), range_text(field, value), field.meaning});
  }
};
struct SetField {
  std::string_view name, text;
  bool found = false;
  std::string sentence;
  std::vector<std::string> names;

  template <class V>
  void operator()(const Field& field, V& value) {
    names.push_back(field.name);
    if (field.name != name) {
      return;
    }
    found = true;
    auto parsed = value;
    if (!parse_text(text, parsed)) {
      const std::string range = range_text(field, value);
      sentence = field.name + ": cannot read \"" + std::string(text) + "\" as a value" +
                 (range.empty() ? "" : "; expected " + range);
    } else if (!(as_number(parsed) >= field.least && as_number(parsed) <= field.most)) {
      sentence =
          field.name + ": expected " + range_text(field, value) + ", found " + std::string(text);
    } else {
      value = parsed;
    }
  }
};
struct FindOutOfRange {
  std::string& sentence;

  template <class V>
  void operator()(const Field& field, const V& value) const {
    const double number = as_number(value);
    if (sentence.empty() && !(number >= field.least && number <= field.most)) {
      sentence = field.name + ": expected " + bound_text(field.least) + " to " +
                 bound_text(field.most) + ", found " + bound_text(number);
    }
  }
};

}  // namespace detail

/// All fields of a Config with their values, in the order of the walk.
template <class C>
std::vector<FieldText> list_fields(const C& config) {
  std::vector<FieldText> fields;
  detail::ListFields note{fields};
  C::for_each_field(config, note);
  return fields;
}

/// Sets one field from text.
///
/// Errors  ConfigError: unknown name (with the nearest ones), unreadable value, or value out of
///         range; the config is as it was
template <class C>
Failure try_set_field(C& config, std::string_view name, std::string_view text) {
  detail::SetField assign{name, text, false, {}, {}};
  C::for_each_field(config, assign);
  if (!assign.found) {
    assign.sentence = "no setting is named \"" + std::string(name) + "\"; near names:";
    for (const std::string& near : nearest_names(name, assign.names)) {
      assign.sentence += " " + near;
    }
  }
  return assign.sentence.empty() ? Failure{} : Failure{ConfigError(assign.sentence)};
}

template <class C>
void set_field(C& config, std::string_view name, std::string_view text) {
  if (const Failure failure = try_set_field(config, name, text)) {
    raise(*failure);
  }
}

/// The first field out of its range as a sentence, or empty.
template <class C>
std::string out_of_range(const C& config) {
  std::string sentence;
  detail::FindOutOfRange test{sentence};
  C::for_each_field(config, test);
  return sentence;
}

}  // namespace simgr::SIMGR_ABI
