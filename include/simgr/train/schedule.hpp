// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <string_view>

#include <simgr/core/fields.hpp>

namespace simgr::SIMGR_ABI::train {

/// The course of the learning rate after warm-up, from 1 at its end.
///
///   constant         1
///   linear           to 0 at the last step
///   cosine           half a cosine to 0 at the last step
///   inverse_root     sqrt(hold / step), 1 before; hold = hold_steps, at least the warm-up
///   cosine_restarts  `cycles` half cosines, each beginning at 1 again
///   polynomial       (1 - progress)^power, from 1 to `end`
enum class Schedule { constant, linear, cosine, inverse_root, cosine_restarts, polynomial };

constexpr std::array<std::string_view, 6> names_of(Schedule) noexcept {
  return {"constant", "linear", "cosine", "inverse_root", "cosine_restarts", "polynomial"};
}

/// A schedule and its numbers; see check().
struct ScheduleConfig {
  Schedule kind = Schedule::constant;
  double warmup = 0;       // fraction of all steps; follows a changed batch size or epoch count
  Index warmup_steps = 0;  // where positive, the warm-up in steps instead of the fraction
  Index hold_steps = 0;    // inverse_root only
  Index cycles = 1;        // cosine_restarts only
  double power = 2;        // polynomial only
  double end = 0;          // polynomial only

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"kind", 0, 5, "course of the learning rate"}, c.kind);
    f(Field{"warmup", 0, 1, "warm-up as a fraction of all steps"}, c.warmup);
    f(Field{"warmup_steps", 0, 1e12, "warm-up in steps, instead of the fraction"}, c.warmup_steps);
    f(Field{"hold_steps", 0, 1e12, "inverse root: steps before the rate falls"}, c.hold_steps);
    f(Field{"cycles", 1, 1e6, "cosine restarts: how many"}, c.cycles);
    f(Field{"power", 0, 100, "polynomial: exponent"}, c.power);
    f(Field{"end", 0, 1, "polynomial: last multiplier"}, c.end);
  }
};

/// The first violated rule as a sentence, or empty.
inline std::string check(const ScheduleConfig& config) {
  std::string sentence = out_of_range(config);
  if (sentence.empty() && config.warmup > 0 && config.warmup_steps > 0) {
    sentence = "warmup and warmup_steps are both set; give one of them";
  }
  return sentence;
}

/// Steps of warm-up in a run of `total_steps`.
inline Index warmup_steps(const ScheduleConfig& config, Index total_steps) noexcept {
  return config.warmup_steps > 0
             ? config.warmup_steps
             : static_cast<Index>(std::llround(config.warmup * static_cast<double>(total_steps)));
}

/// What the base rate is multiplied by at step `step`, counted from 0, of `total_steps`.
///
/// Warm-up rises linearly from 0 at step 0 to 1 at its end. Steps past the last keep the last
/// value: a cosine does not rise again.
///
/// Source  Loshchilov & Hutter 2017, equation 5 (cosine, restarts)
///         Vaswani et al. 2017, section 5.3 (inverse root)
inline double rate_multiplier(const ScheduleConfig& config, Index step,
                              Index total_steps) noexcept {
  const Index warmup = warmup_steps(config, total_steps);
  if (step < warmup) {
    return static_cast<double>(step) / static_cast<double>(warmup);
  }
  const double progress =
      std::min(1.0, static_cast<double>(step - warmup) /
                        static_cast<double>(std::max<Index>(1, total_steps - warmup)));
  switch (config.kind) {
  case Schedule::constant:
    return 1;
  case Schedule::linear:
    return 1 - progress;
  case Schedule::cosine:
    return 0.5 * (1 + std::cos(std::numbers::pi * progress));
  case Schedule::inverse_root: {
    const Index hold = std::max({config.hold_steps, warmup, Index{1}});
    return std::sqrt(static_cast<double>(hold) / static_cast<double>(std::max(step, hold)));
  }
  case Schedule::cosine_restarts: {
    const double turns = static_cast<double>(config.cycles) * progress;
    return progress >= 1 ? 0 : 0.5 * (1 + std::cos(std::numbers::pi * (turns - std::floor(turns))));
  }
  case Schedule::polynomial:
    return config.end + (1 - config.end) * std::pow(1 - progress, config.power);
  }
  return 1;
}

}  // namespace simgr::SIMGR_ABI::train
