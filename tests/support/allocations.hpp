// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace simgr_test {

/// How often any thread of this test executable has called `operator new`, so far. A function that
/// promises not to allocate leaves it as it was.
std::size_t allocations() noexcept;

}  // namespace simgr_test
