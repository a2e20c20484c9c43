// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI {

/// Sizes, positions and offsets; signed, so that differences are safe.
using Index = std::ptrdiff_t;

/// A dense item id, 0 … items-1. There is no padding id and no negative id.
using ItemId = std::int32_t;

/// A dense user id, 0 … users-1.
using UserId = std::int32_t;

/// Memory spaces: the last template parameter of every view. Mixing them is a compile error.
struct Host {};
struct Device {};

/// What an op does to its output.
enum class Write { assign, add };

/// Extents of the axes of a view, slowest first.
template <std::size_t Rank>
using Shape = std::array<Index, Rank>;

}  // namespace simgr::SIMGR_ABI
