// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iterator>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/cpu/row_products.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// Copies of matrices as row_products() reads them, found by where the matrix stands. A beam passes
/// by the same weights with some dozens of rows at a time, where turning them takes a third as long
/// as the product itself.
///
/// Valid as long as the matrices stay where they are and as they are.
class PackedMatrices {
public:
  void clear() {
    copies_.clear();
    memory_.reset();
  }
  /// Keeps a copy of w [cols, inner], if row_products() may be called with it.
  void add(MatrixArg<float> w) {
    if (!suits_row_products(4, w.rows(), w.cols())) {
      return;
    }
    using detail::panel_items;
    const Index padded = (w.rows() + panel_items - 1) / panel_items * panel_items;
    float* const panels = memory_.take_elements<float>(padded * w.cols());
    for (Index row = 0; row < w.rows(); row += panel_items) {
      detail::pack_rows(w.row(row).data(), std::min(panel_items, w.rows() - row), w.cols(),
                        panels + row * w.cols());
    }
    copies_.insert(after(w.data()), {w.data(), panels});
  }
  /// The panels of the matrix that begins at `data`, that of rows r … at r · inner; null: there is no
  /// copy.
  const float* find(const float* data) const noexcept {
    const auto at = after(data);
    return at == copies_.begin() || std::prev(at)->of != data ? nullptr : std::prev(at)->panels;
  }

private:
  struct Copy {
    const float* of;
    const float* panels;
  };
  std::vector<Copy>::const_iterator after(const float* data) const noexcept {
    return std::upper_bound(copies_.begin(), copies_.end(), data,
                            [](const float* at, const Copy& copy) { return at < copy.of; });
  }

  Arena memory_;
  std::vector<Copy> copies_;  // ascending
};

}  // namespace simgr::SIMGR_ABI::cpu
