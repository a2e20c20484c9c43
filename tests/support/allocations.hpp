// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace simgr_test {

/// How often any thread of this test executable has called `operator new`, so far. A function that
/// promises not to allocate leaves it as it was.
std::size_t allocations() noexcept;

/// How many bytes those calls have asked for, freed ones included.
std::size_t allocated_bytes() noexcept;

}  // namespace simgr_test
