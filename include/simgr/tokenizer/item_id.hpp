// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/proportion.hpp>

namespace simgr::SIMGR_ABI {

/// The semantic ids of a catalogue: item i is the tuple codes(i, 0) … codes(i, digits - 1).
///
/// Digit l counts from 0 to codes_per_digit[l] - 1. The rows of all digits stand in one table,
/// digit after digit: code c of digit l is row first_row(l) + c.
struct SemanticIds {
  OwnedMatrix<std::int32_t> codes;     // [items, digits]
  std::vector<Index> codes_per_digit;  // [digits]

  bool empty() const noexcept { return codes.empty(); }
  Index items() const noexcept { return codes.rows; }
  Index digits() const noexcept { return codes.cols; }
  Index first_row(Index digit) const noexcept {
    Index row = 0;
    for (Index l = 0; l < digit; ++l) { row += codes_per_digit[static_cast<std::size_t>(l)]; }
    return row;
  }
  /// Rows of the digit table: the sum of codes_per_digit.
  Index table_rows() const noexcept { return first_row(digits()); }
};

/// What is wrong with ids of a file whose digit table is out of proportion to them, or empty.
inline std::string out_of_proportion(const SemanticIds& ids) {
  const Index most = most_rows_named_in(ids.items() * ids.digits());
  Index rows = 0;
  for (std::size_t digit = 0; digit < ids.codes_per_digit.size(); ++digit) {
    rows += std::min(ids.codes_per_digit[digit], most + 1);
    if (rows > most) {
      return "digit " + std::to_string(digit) + ": " + std::to_string(ids.codes_per_digit[digit]) +
             " codes for " + std::to_string(ids.items()) + " items are out of proportion";
    }
  }
  return {};
}

}  // namespace simgr::SIMGR_ABI
