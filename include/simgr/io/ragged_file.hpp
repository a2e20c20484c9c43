// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/ragged.hpp>
#include <simgr/io/checkpoint.hpp>

// Sequences of items in a checkpoint:
//
//   NAME.offsets   [sequences + 1] I64, from 0 to the number of items, never falling
//   NAME.values    [all items] I32

namespace simgr::SIMGR_ABI::io {

inline void add_ragged(CheckpointWriter& writer, const std::string& name,
                       const Ragged<ItemId>& sequences) {
  const std::vector<std::int64_t> offsets(sequences.offsets.begin(), sequences.offsets.end());
  writer.add_copy(name + ".offsets", {std::ssize(offsets)}, std::span<const std::int64_t>(offsets));
  writer.add(name + ".values", {sequences.tokens()}, std::span<const ItemId>(sequences.values));
}

/// @param items  ids are 0 to items - 1
///
/// Errors  DataError with file and tensor: one is missing, or breaks a rule above
inline Result<Ragged<ItemId>> try_read_ragged(const Checkpoint& checkpoint, const std::string& name,
                                              Index items) {
  auto offsets = checkpoint.try_read<std::int64_t>(name + ".offsets");
  auto values = checkpoint.try_read<ItemId>(name + ".values");
  if (!offsets || !values) {
    return offsets ? values.error() : offsets.error();
  }
  const auto count = std::ssize(*values);
  if (offsets->empty() || offsets->front() != 0 || offsets->back() != count ||
      !std::is_sorted(offsets->begin(), offsets->end())) {
    return DataError("expected offsets that rise from 0 to " + std::to_string(count),
                     {.file = checkpoint.file(), .field = name + ".offsets"});
  }
  for (const ItemId item : *values) {
    if (item < 0 || item >= items) {
      return DataError("item " + std::to_string(item) + " is not one of 0 to " +
                           std::to_string(items - 1),
                       {.file = checkpoint.file(), .field = name + ".values"});
    }
  }
  Ragged<ItemId> read;
  read.values = std::move(values).value();
  read.offsets.assign(offsets->begin(), offsets->end());
  return read;
}

}  // namespace simgr::SIMGR_ABI::io
