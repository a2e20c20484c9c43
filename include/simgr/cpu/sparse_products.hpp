// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <simgr/core/executor.hpp>
#include <simgr/core/sparse_rows.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// y = a b. Row r of y is summed in the order of the entries of row r, whatever the executor.
///
/// Shapes  a sparse [rows, inner];  b [inner, width];  y [rows, width]
/// Cost    O(entries · width)
template <class T, class E>
void multiply(E& executor, const SparseRows& a, MatrixArg<T> b, Matrix<T> y) {
  SIMGR_ASSERT(a.cols == b.rows() && a.rows() == y.rows() && b.cols() == y.cols(),
               "sparse product: shapes");
  const Index shards = std::min<Index>(a.rows(), 64), width = b.cols();
  executor.for_each(shards, [&](Index shard) {
    for (Index row = a.rows() * shard / shards; row < a.rows() * (shard + 1) / shards; ++row) {
      T* const into = y.row(row).data();
      std::fill_n(into, width, T(0));
      const auto columns = a.columns_of(row);
      const auto values = a.values_of(row);
      for (std::size_t e = 0; e < columns.size(); ++e) {
        const T value = static_cast<T>(values[e]);
        const T* const from = b.data() + columns[e] * width;
        for (Index k = 0; k < width; ++k) { into[k] += value * from[k]; }
      }
    }
  });
}

}  // namespace simgr::SIMGR_ABI::cpu
