// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <simgr/core/types.hpp>

// Conversions between float and the other formats that files hold numbers in.

namespace simgr::SIMGR_ABI {

/// The float of an IEEE 754 half, exactly.
inline float float_from_f16(std::uint16_t half) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
  if (exponent == 31) {
    return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  }
  if (exponent == 0) {
    const float small = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -small : small;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

/// A bfloat16 in memory: the upper half of a float. It may lie in a block of floats.
struct [[gnu::may_alias]] BFloat16 {
  std::uint16_t bits;
};

/// The float of a bfloat16, exactly: its upper half.
inline float float_from_bf16(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Nearest bfloat16, ties to even; NaN stays NaN.
inline std::uint16_t bf16_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) {
    return static_cast<std::uint16_t>(bits >> 16 | 64u);
  }
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// A number as the one that is computed with; those of float and double are what they are.
inline float widened(BFloat16 value) noexcept {
  return float_from_bf16(value.bits);
}
inline float widened(float value) noexcept {
  return value;
}
inline double widened(double value) noexcept {
  return value;
}

/// Nearest half, ties to even; beyond 65,504 it becomes infinity.
inline std::uint16_t f16_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) {
    return static_cast<std::uint16_t>(sign | 0x7e00u);
  }
  if (magnitude >= 65520.0f) {
    return static_cast<std::uint16_t>(sign | 0x7c00u);
  }
  if (magnitude < 6.103515625e-05f) {  // subnormal: a multiple of 2^-24, exact after the scaling
    return static_cast<std::uint16_t>(
        sign | static_cast<unsigned>(std::nearbyint(magnitude * 16777216.0f)));
  }
  const std::uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + (bits >> 13 & 1u) - (112u << 23);
  return static_cast<std::uint16_t>(sign | rounded >> 13);
}

/// Nearest float; beyond the largest it becomes infinity, which a cast leaves undefined.
inline float float_from_double(double value) noexcept {
  constexpr float largest = std::numeric_limits<float>::max();
  if (std::fabs(value) > static_cast<double>(largest)) {
    const bool nearer_to_largest = std::fabs(value) < 0x1.ffffffp127;
    return std::copysign(nearer_to_largest ? largest : std::numeric_limits<float>::infinity(),
                         value < 0 ? -1.0f : 1.0f);
  }
  return static_cast<float>(value);
}

}  // namespace simgr::SIMGR_ABI
