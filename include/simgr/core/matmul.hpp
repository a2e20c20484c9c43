// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI {

/// What matrix products of floats are made of. Sums are floats always.
///
///   fp32    floats
///   bf16x3  two bfloat16 for each float, and three of their four products: off by some 5e-6 of a
///           product of random factors
///   bf16    floats rounded to bfloat16: off by some 2e-3 of it
///
/// The last two are faster on processors with tiles for them (Intel's AMX), and fp32 elsewhere.
enum class MatMul { fp32, bf16x3, bf16 };

constexpr std::array<std::string_view, 3> names_of(MatMul) noexcept {
  return {"fp32", "bf16x3", "bf16"};
}

}  // namespace simgr::SIMGR_ABI
