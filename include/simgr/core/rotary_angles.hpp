// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// The angles of rotary positions: pair j of a head turns by position · frequency(j).
///
///   frequency(j) = theta^(-2 j / width)
///
/// Where `scaling` is not 1, it is that of Llama 3.1 for longer texts than the `original` positions:
/// waves longer than original / low are slowed down by it, those shorter than original / high stay,
/// and between them it fades in.
///
/// Source  Su et al. 2021, section 3.2.2; Dubey et al. 2024, section 3.2, and the code that was
///         published with it
struct RotaryAngles {
  double theta = 10000;
  double scaling = 1, low = 1, high = 4;
  double original = 8192;  // positions before scaling

  bool operator==(const RotaryAngles&) const = default;

  double frequency(Index j, Index width) const noexcept {
    const double plain =
        std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(width));
    if (scaling == 1) {
      return plain;
    }
    const double waves = original * plain / (2 * std::numbers::pi);  // in the original positions
    const double kept = std::clamp((waves - low) / (high - low), 0.0, 1.0);
    return plain * (kept + (1 - kept) / scaling);
  }
};

}  // namespace simgr::SIMGR_ABI
