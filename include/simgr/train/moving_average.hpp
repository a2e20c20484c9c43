// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include <simgr/core/arena.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/view.hpp>
#include <simgr/cpu/optimizer_step.hpp>

namespace simgr::SIMGR_ABI::train {

/// An exponential moving average of the trained weights, in their layout:
///
///   first update   average = weights
///   every other    average = decay · average + (1 - decay) · weights
///
/// Evaluate and save under the average by exchanging it with the weights, and exchange again to go
/// on training: no bit changes.
///
/// Cost    one block of memory; one pass an update
/// Errors  ConfigError unless 0 <= decay < 1
template <class T>
class MovingAverage {
public:
  MovingAverage(double decay, Index trained_size) : decay_(decay) {
    if (!(decay >= 0 && decay < 1)) {
      SIMGR_THROW(ConfigError("moving_average.decay: expected 0 to below 1, found " +
                              std::to_string(decay)));
    }
    memory_ = Arena(static_cast<std::size_t>(trained_size) * sizeof(T));
    average_ = memory_.take<T, 1>({trained_size});
    std::fill(average_.begin(), average_.end(), T{});
  }

  void update(std::span<const T> weights) noexcept {
    SIMGR_ASSERT(static_cast<Index>(weights.size()) == average_.size(), "weights of another block");
    if (updates_++ == 0) {
      std::copy(weights.begin(), weights.end(), average_.begin());
    } else {
      cpu::average_step(average_, {weights.data(), average_.shape()}, static_cast<T>(decay_));
    }
  }

  /// Exchanges the average with the weights; calling it twice changes nothing.
  void exchange(std::span<T> weights) noexcept {
    SIMGR_ASSERT(static_cast<Index>(weights.size()) == average_.size(), "weights of another block");
    std::swap_ranges(weights.begin(), weights.end(), average_.begin());
  }

  /// What a checkpoint writes and restores, with the number of updates.
  std::span<T> average() noexcept { return average_.span(); }
  std::span<const T> average() const noexcept { return average_.span(); }
  std::int64_t updates() const noexcept { return updates_; }
  void set_updates(std::int64_t updates) noexcept { updates_ = updates; }

private:
  double decay_;
  std::int64_t updates_ = 0;
  Arena memory_;
  Vector<T> average_;
};

}  // namespace simgr::SIMGR_ABI::train
