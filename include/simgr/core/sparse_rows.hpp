// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <numeric>  // std::partial_sum
#include <span>
#include <vector>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// A sparse matrix [rows, cols], row after row: entry e of row r, offsets[r] <= e < offsets[r + 1],
/// stands in column columns[e]. Columns increase within a row.
struct SparseRows {
  std::vector<Index> offsets{0};      // [rows + 1]
  std::vector<std::int32_t> columns;  // [entries]
  std::vector<float> values;          // [entries]
  Index cols = 0;

  Index rows() const noexcept { return std::ssize(offsets) - 1; }
  Index entries() const noexcept { return std::ssize(columns); }
  std::span<const std::int32_t> columns_of(Index row) const noexcept {
    return std::span(columns).subspan(begin(row), begin(row + 1) - begin(row));
  }
  std::span<const float> values_of(Index row) const noexcept {
    return std::span(values).subspan(begin(row), begin(row + 1) - begin(row));
  }
  std::span<float> values_of(Index row) noexcept {
    return std::span(values).subspan(begin(row), begin(row + 1) - begin(row));
  }

private:
  std::size_t begin(Index row) const noexcept {
    return static_cast<std::size_t>(offsets[static_cast<std::size_t>(row)]);
  }
};

/// The same matrix, column after column.
///
/// Cost  O(entries + cols)
inline SparseRows transposed(const SparseRows& a) {
  SparseRows t;
  t.cols = a.rows();
  t.offsets.assign(static_cast<std::size_t>(a.cols) + 1, 0);
  for (const std::int32_t column : a.columns) { ++t.offsets[static_cast<std::size_t>(column) + 1]; }
  std::partial_sum(t.offsets.begin(), t.offsets.end(), t.offsets.begin());
  t.columns.resize(a.columns.size());
  t.values.resize(a.values.size());
  std::vector<Index> next = t.offsets;
  for (Index row = 0; row < a.rows(); ++row) {
    for (std::size_t e = 0; e < a.columns_of(row).size(); ++e) {
      const auto at =
          static_cast<std::size_t>(next[static_cast<std::size_t>(a.columns_of(row)[e])]++);
      t.columns[at] = static_cast<std::int32_t>(row);
      t.values[at] = a.values_of(row)[e];
    }
  }
  return t;
}

}  // namespace simgr::SIMGR_ABI
