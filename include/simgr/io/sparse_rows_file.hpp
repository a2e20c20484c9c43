// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/sparse_rows.hpp>
#include <simgr/io/checkpoint.hpp>

// A sparse matrix [rows, cols] in a checkpoint:
//
//   NAME.offsets   [rows + 1] I64, from 0 to entries, never falling
//   NAME.columns   [entries] I32, increasing within a row
//   NAME.values    [entries] F32, finite

namespace simgr::SIMGR_ABI::io {

/// Values and columns are the caller's until the writer is done.
inline void add_sparse_rows(CheckpointWriter& writer, const std::string& name,
                            const SparseRows& rows) {
  const std::vector<std::int64_t> offsets(rows.offsets.begin(), rows.offsets.end());
  writer.add_copy(name + ".offsets", {std::ssize(offsets)}, std::span<const std::int64_t>(offsets));
  writer.add(name + ".columns", {rows.entries()}, std::span<const std::int32_t>(rows.columns));
  writer.add(name + ".values", {rows.entries()}, std::span<const float>(rows.values));
}

/// Errors  ShapeError or DataError with file and tensor: one is missing, of another length, or breaks
///         a rule above
inline Result<SparseRows> try_read_sparse_rows(const Checkpoint& checkpoint,
                                               const std::string& name, Index rows, Index cols) {
  const auto wrong = [&](const char* part, std::string sentence) {
    return DataError(std::move(sentence), {.file = checkpoint.file(), .field = name + part});
  };
  const Index length[] = {rows + 1};
  auto offsets = checkpoint.try_read<std::int64_t>(name + ".offsets", length);
  if (!offsets) {
    return offsets.error();
  }
  auto columns = checkpoint.try_read<std::int32_t>(name + ".columns");
  if (!columns) {
    return columns.error();
  }
  const Index entries[] = {std::ssize(*columns)};
  auto values = checkpoint.try_read<float>(name + ".values", entries);
  if (!values) {
    return values.error();
  }
  if (std::ssize(*offsets) != rows + 1 || offsets->front() != 0 || offsets->back() != entries[0] ||
      !std::is_sorted(offsets->begin(), offsets->end())) {
    return wrong(".offsets", "expected " + std::to_string(rows + 1) +
                                 " offsets that rise from 0 to " + std::to_string(entries[0]));
  }
  for (std::size_t row = 0; row + 1 < offsets->size(); ++row) {
    std::int64_t previous = -1;
    for (auto e = static_cast<std::size_t>((*offsets)[row]);
         e < static_cast<std::size_t>((*offsets)[row + 1]); ++e) {
      if ((*columns)[e] <= previous || (*columns)[e] >= cols) {
        return wrong(".columns",
                     "row " + std::to_string(row) + ": expected columns that increase from 0 to " +
                         std::to_string(cols - 1) + ", found " + std::to_string((*columns)[e]));
      }
      previous = (*columns)[e];
    }
  }
  if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); })) {
    return wrong(".values", "found a value that is not finite");
  }
  SparseRows read;
  read.offsets.assign(offsets->begin(), offsets->end());
  read.columns = std::move(columns).value();
  read.values = std::move(values).value();
  read.cols = cols;
  return read;
}

}  // namespace simgr::SIMGR_ABI::io
