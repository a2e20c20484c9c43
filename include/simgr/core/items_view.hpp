// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// The sizes of a catalogue that decide the shapes of tensors. Models fill them in, not users.
struct CatalogueSizes {
  Index items = 0;
  Index digits = 0;      // of a semantic id; 0 without ids
  Index table_rows = 0;  // of the table of all digits: Σ codes
};

/// What the stages see of a catalogue. Owns nothing.
template <class S = Host>
struct ItemsView {
  Index items = 0;
  Matrix<const std::int32_t, S> digit_rows;  // [items, digits], rows of the digit table; or empty
  std::span<const Index> digit_starts{};     // [digits + 1]: where the rows of each digit begin
};

}  // namespace simgr::SIMGR_ABI
