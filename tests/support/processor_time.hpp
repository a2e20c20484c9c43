// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <ctime>

namespace simgr_test {

/// How many times longer than optimised code this build may take: unoptimised, and sanitized.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double slowness = 20;
#elif !defined(__OPTIMIZE__)
inline constexpr double slowness = 8;
#else
inline constexpr double slowness = 1;
#endif

/// Seconds of this process's processors that `f` takes, of three runs the shortest: neighbours on
/// the machine may slow one of them. Bounds on it are for optimised code: multiply by `slowness`.
template <class F>
double processor_seconds(F&& f) {
  double shortest = 0;
  for (int run = 0; run < 3; ++run) {
    const std::clock_t start = std::clock();
    f();
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    shortest = run == 0 ? seconds : std::min(shortest, seconds);
  }
  return shortest;
}

}  // namespace simgr_test
