// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/item_text.hpp>
#include <simgr/data/json.hpp>
#include <simgr/io/atomic_file.hpp>

namespace simgr::SIMGR_ABI::io {

/// Writes `.npy`: the bytes numpy.save writes (version 1, C order, little-endian).
///
/// @tparam T  float, double or a signed integer
///
/// Errors  those of AtomicFile
template <class T, std::size_t Rank>
Failure try_write_npy(const std::string& path, View<T, Rank> view) {
  using Element = std::remove_const_t<T>;
  static_assert(std::is_floating_point_v<Element> || std::is_signed_v<Element>,
                "simgr: .npy is written from float, double and signed integers");
  auto file = AtomicFile<>::try_open(path);
  if (!file) {
    return file.error();
  }
  std::string shape;
  for (std::size_t axis = 0; axis < Rank; ++axis) {
    shape += (axis > 0 ? " " : "") + std::to_string(view.extent(axis)) +
             (Rank == 1 || axis + 1 < Rank ? "," : "");
  }
  std::string header = std::string("{'descr': '<") + (std::is_integral_v<Element> ? "i" : "f") +
                       std::to_string(sizeof(Element)) + "', 'fortran_order': False, 'shape': (" +
                       shape + "), }";
  constexpr std::size_t before = 10;  // magic, version and the length of the header
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  std::string start("\x93NUMPY\x01\x00", 8);
  start += static_cast<char>(header.size() % 256);
  start += static_cast<char>(header.size() / 256);
  for (const std::string_view part : {std::string_view(start), std::string_view(header)}) {
    if (Failure failure = file->write(part)) {
      return failure;
    }
  }
  if (Failure failure = file->write(std::as_bytes(view.span()))) {
    return failure;
  }
  return file->commit();
}
inline Failure try_write_npy(const std::string& path, MatrixArg<float> matrix) {
  return try_write_npy<const float, 2>(path, matrix);
}

/// Writes the uniform file that data::read_sequences reads, plain. Items are their dense ids, users
/// their place; keys are not in this format, so keep those of the items with write_items. An empty
/// history gives a line that cannot be read again.
///
/// Errors  those of AtomicFile
inline Failure try_write_sequences(const std::string& path,
                                   const data::Interactions& interactions) {
  auto file = AtomicFile<>::try_open(path);
  if (!file) {
    return file.error();
  }
  std::string line = interactions.timed() ? "user\titems\ttimes\n" : "user\titems\n";
  const auto list = [&](const auto& numbers) {
    for (const auto number : numbers) {
      line += std::to_string(number);
      line += ' ';
    }
    if (!numbers.empty()) {
      line.pop_back();
    }
  };
  for (Index user = 0; user < interactions.users(); ++user) {
    line += std::to_string(user) + '\t';
    list(interactions.histories[user]);
    if (interactions.timed()) {
      line += '\t';
      list(interactions.times_of(user));
    }
    line += '\n';
    if (Failure failure = file->write(line)) {
      return failure;
    }
    line.clear();
  }
  return file->commit();
}

/// Writes the uniform file that data::read_items reads, plain. Texts must be UTF-8.
///
/// Errors  those of AtomicFile
inline Failure try_write_items(const std::string& path, std::span<const data::ItemText> items) {
  auto file = AtomicFile<>::try_open(path);
  if (!file) {
    return file.error();
  }
  const auto list = [](const std::vector<std::string>& texts) {
    std::string joined;
    for (const std::string& text : texts) {
      joined += (joined.empty() ? "" : ",") + data::json_quote(text);
    }
    return "[" + joined + "]";
  };
  for (std::size_t item = 0; item < items.size(); ++item) {
    const data::ItemText& text = items[item];
    std::string line = "{\"id\":" + std::to_string(item);
    for (const auto& [name, value] : {std::pair<const char*, const std::string&>("asin", text.key),
                                      {"title", text.title},
                                      {"brand", text.brand},
                                      {"description", text.description},
                                      {"text", text.text},
                                      {"phrase", text.phrase}}) {
      if (!value.empty()) {
        line += ",\"" + std::string(name) + "\":" + data::json_quote(value);
      }
    }
    if (!text.categories.empty()) {
      std::string paths;
      for (const auto& path_names : text.categories) {
        paths += (paths.empty() ? "" : ",") + list(path_names);
      }
      line += ",\"categories\":[" + paths + "]";
    }
    if (!text.terms.empty()) {
      line += ",\"terms\":" + list(text.terms);
    }
    if (!text.attributes.empty()) {
      std::string numbers;
      for (const auto number : text.attributes) {
        numbers += (numbers.empty() ? "" : ",") + std::to_string(number);
      }
      line += ",\"attributes\":[" + numbers + "]";
    }
    if (Failure failure = file->write(line + "}\n")) {
      return failure;
    }
  }
  return file->commit();
}

template <class T, std::size_t Rank>
void write_npy(const std::string& path, View<T, Rank> view) {
  if (Failure failure = try_write_npy(path, view)) {
    raise(*failure);
  }
}
inline void write_npy(const std::string& path, MatrixArg<float> matrix) {
  write_npy<const float, 2>(path, matrix);
}
inline void write_sequences(const std::string& path, const data::Interactions& interactions) {
  if (Failure failure = try_write_sequences(path, interactions)) {
    raise(*failure);
  }
}
inline void write_items(const std::string& path, std::span<const data::ItemText> items) {
  if (Failure failure = try_write_items(path, items)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
