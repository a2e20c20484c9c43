// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>  // std::integer_sequence

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::cpu::detail {

/// Calls f(0) … f(count - 1) with constants, so that arrays of registers stay registers.
template <Index count, class F>
[[gnu::always_inline]] inline void unrolled(F&& f) {
  [&]<Index... i>(std::integer_sequence<Index, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<Index, i>{}), ...);
  }
  (std::make_integer_sequence<Index, count>{});
}

/// f(row, column) over a block.
template <Index rows, Index columns, class F>
[[gnu::always_inline]] inline void over_block(F&& f) {
  unrolled<rows>([&](Index row) __attribute__((always_inline)) {
    unrolled<columns>([&](Index column) __attribute__((always_inline)) { f(row, column); });
  });
}

}  // namespace simgr::SIMGR_ABI::cpu::detail
