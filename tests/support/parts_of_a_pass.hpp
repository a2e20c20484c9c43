// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <doctest/doctest.h>

namespace simgr_test {

/// What a layer's passes gave, of all rows or of some.
struct PassOutcome {
  std::vector<double> y, dx, dmemory, gradient;

  /// Puts what the next rows gave behind: their gradients are sums.
  void append(const PassOutcome& next) {
    y.insert(y.end(), next.y.begin(), next.y.end());
    dx.insert(dx.end(), next.dx.begin(), next.dx.end());
    dmemory.insert(dmemory.end(), next.dmemory.begin(), next.dmemory.end());
    gradient.resize(next.gradient.size());
    for (std::size_t i = 0; i < gradient.size(); ++i) { gradient[i] += next.gradient[i]; }
  }
};

inline bool alike(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]) / (1 + std::abs(b[i])));
  }
  return largest < 1e-10;
}

inline void check_alike(const PassOutcome& a, const PassOutcome& b) {
  CHECK(alike(a.y, b.y));
  CHECK(alike(a.dx, b.dx));
  CHECK(alike(a.dmemory, b.dmemory));
  CHECK(alike(a.gradient, b.gradient));
}

}  // namespace simgr_test
