// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// Philox4x32-10: four random words from a 128-bit counter and a 64-bit key, without state. The
/// same bits on every compiler, thread count and device.
///
/// Source  Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                              std::uint64_t key) noexcept {
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t left = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t right = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(right >> 32) ^ counter[1] ^ key0,
               static_cast<std::uint32_t>(right),
               static_cast<std::uint32_t>(left >> 32) ^ counter[3] ^ key1,
               static_cast<std::uint32_t>(left)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// A sequence of draws from one (seed, stream). Copying it copies the position, which is all that a
/// checkpoint needs.
class Rng {
public:
  constexpr explicit Rng(std::uint64_t seed, std::uint64_t stream = 0,
                         std::uint64_t position = 0) noexcept
      : seed_(seed), stream_(stream), position_(position) {}

  constexpr std::uint64_t seed() const noexcept { return seed_; }
  constexpr std::uint64_t position() const noexcept { return position_; }

  /// 64 random bits; draw i is a pure function of (seed, stream, i).
  constexpr std::uint64_t bits() noexcept {
    const auto word =
        philox({static_cast<std::uint32_t>(position_), static_cast<std::uint32_t>(position_ >> 32),
                static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
               seed_);
    ++position_;
    return (std::uint64_t{word[1]} << 32) | word[0];
  }
  /// Uniform in [0, 1), 53 bits.
  constexpr double uniform() noexcept { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// Uniform in 0 … count-1 without modulo bias (rejection); count >= 1.
  constexpr Index below(Index count) noexcept {
    const auto range = static_cast<std::uint64_t>(count);
    const std::uint64_t limit = range * (~std::uint64_t{0} / range);
    std::uint64_t draw = bits();
    while (draw >= limit) { draw = bits(); }
    return static_cast<Index>(draw % range);
  }
  /// Standard normal (Box-Muller); two draws of bits() each.
  double normal() noexcept {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  /// Random order of the values (Fisher-Yates).
  template <class T>
  constexpr void shuffle(std::span<T> values) noexcept {
    for (Index i = static_cast<Index>(values.size()) - 1; i > 0; --i) {
      std::swap(values[static_cast<std::size_t>(i)],
                values[static_cast<std::size_t>(below(i + 1))]);
    }
  }

private:
  std::uint64_t seed_, stream_, position_;
};

}  // namespace simgr::SIMGR_ABI
