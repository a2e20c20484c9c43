// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/ragged.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/utf8.hpp>
#include <simgr/io/atomic_file.hpp>
#include <simgr/io/semantic_ids.hpp>

// The file, neighbours.tsv:
//
//   item<TAB>neighbours
//   0<TAB>443 6297 2960
//   1<TAB>
//
// one line an item, 0 to items - 1 in order, its neighbours best first; item 1 has none.

namespace simgr::SIMGR_ABI::io {

/// Reads the neighbours of `items` items; plain or gzip.
///
/// Errors  DataError with the line: wrong header, items missing, too many or out of order, a
///         neighbour that is no item, the item itself, or listed twice; IoError
inline Result<Ragged<ItemId>> try_read_neighbours(const std::string& path, Index items) {
  auto lines = data::Lines::open(path);
  if (!lines) {
    return lines.error();
  }
  const auto wrong = [&](const std::string& sentence) {
    return DataError(sentence, lines->where());
  };
  Ragged<ItemId> all;
  std::vector<ItemId> list;
  std::vector<Index> listed_by;  // grows with the file, and no further than there are items
  while (lines->next()) {
    std::string_view rest = lines->line();
    if (lines->number() == 1) {
      if (rest != "item\tneighbours") {
        return wrong("expected the header item<TAB>neighbours, found " + data::in_quotes(rest));
      }
      continue;
    }
    const Index item = all.sequences();
    const std::string_view name = detail::next_part(rest, '\t');
    if (item == items || detail::whole_number(name) != item) {
      return wrong("expected " +
                   (item == items ? "the end after " + std::to_string(items) + " items"
                                  : "item " + std::to_string(item)) +
                   ", found " + data::in_quotes(name));
    }
    list.clear();
    while (!rest.empty()) {
      const std::string_view text = detail::next_part(rest, ' ');
      const std::int64_t id = detail::whole_number(text);
      if (id < 0 || id >= items) {
        return wrong("expected a neighbour from 0 to " + std::to_string(items - 1) + ", found " +
                     data::in_quotes(text));
      }
      if (id == item) {
        return wrong("item " + std::to_string(item) + " is listed as its own neighbour");
      }
      const auto place = static_cast<std::size_t>(id);
      if (listed_by.size() <= place) {
        listed_by.resize(place + 1, -1);
      }
      if (listed_by[place] == item) {
        return wrong("item " + std::to_string(id) + " is listed twice");
      }
      listed_by[place] = item;
      list.push_back(static_cast<ItemId>(id));
    }
    all.push_back(list);
  }
  if (lines->failure()) {
    return *lines->failure();
  }
  if (all.sequences() != items) {
    return DataError("expected neighbours of " + std::to_string(items) + " items, found those of " +
                         std::to_string(all.sequences()),
                     {.file = path});
  }
  return all;
}

inline Ragged<ItemId> read_neighbours(const std::string& path, Index items) {
  return try_read_neighbours(path, items).value_or_raise();
}

/// Writes neighbours.tsv; the old file or the whole new one is there at every moment.
///
/// Errors  those of AtomicFile
inline Failure try_write_neighbours(const std::string& path, RaggedView<ItemId> neighbours) {
  std::string text = "item\tneighbours\n";
  for (Index item = 0; item < neighbours.sequences(); ++item) {
    text += std::to_string(item);
    char before = '\t';
    for (const ItemId neighbour : neighbours[item]) {
      text += before + std::to_string(neighbour);
      before = ' ';
    }
    text += neighbours[item].empty() ? "\t\n" : "\n";
  }
  return try_replace_file(path, text);
}

inline void write_neighbours(const std::string& path, RaggedView<ItemId> neighbours) {
  if (Failure failure = try_write_neighbours(path, neighbours)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
