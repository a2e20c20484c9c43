// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// A row-major matrix that owns its memory: what readers return and a catalogue holds.
template <class T>
struct OwnedMatrix {
  std::vector<T> values;  // [rows · cols]
  Index rows = 0, cols = 0;

  OwnedMatrix() = default;
  /// Zeros.
  OwnedMatrix(Index row_count, Index col_count)
      : values(static_cast<std::size_t>(row_count * col_count)), rows(row_count), cols(col_count) {}

  bool empty() const noexcept { return values.empty(); }
  Matrix<T> view() noexcept { return {values.data(), {rows, cols}}; }
  Matrix<const T> view() const noexcept { return {values.data(), {rows, cols}}; }
  operator Matrix<const T>() const noexcept { return view(); }
};

}  // namespace simgr::SIMGR_ABI
