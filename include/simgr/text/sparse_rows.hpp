// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>  // std::partial_sum
#include <span>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI::text {

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

/// y = a b. Row r of y is summed in the order of the entries of row r, whatever the executor.
///
/// Shapes  a sparse [rows, inner];  b [inner, width];  y [rows, width]
/// Cost    O(entries · width)
template <class E>
void multiply(E& executor, const SparseRows& a, MatrixArg<float> b, Matrix<float> y) {
  SIMGR_ASSERT(a.cols == b.rows() && a.rows() == y.rows() && b.cols() == y.cols(),
               "sparse product: shapes");
  const Index shards = std::min<Index>(a.rows(), 64), width = b.cols();
  executor.for_each(shards, [&](Index shard) {
    for (Index row = a.rows() * shard / shards; row < a.rows() * (shard + 1) / shards; ++row) {
      float* const into = y.row(row).data();
      std::fill_n(into, width, 0.0f);
      const auto columns = a.columns_of(row);
      const auto values = a.values_of(row);
      for (std::size_t e = 0; e < columns.size(); ++e) {
        const float value = values[e];
        const float* const from = b.data() + columns[e] * width;
        for (Index k = 0; k < width; ++k) { into[k] += value * from[k]; }
      }
    }
  });
}

}  // namespace simgr::SIMGR_ABI::text
