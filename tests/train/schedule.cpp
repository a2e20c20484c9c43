// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/schedule.hpp>

#include <doctest/doctest.h>

using simgr::train::rate_multiplier;
using simgr::train::Schedule;
using simgr::train::ScheduleConfig;

TEST_CASE("a warm-up given as a fraction follows the length of the run") {
  const ScheduleConfig config{.kind = Schedule::linear, .warmup = 0.25};
  for (const simgr::Index total : {8, 80, 4000}) {
    const simgr::Index warmup = total / 4;
    CHECK(simgr::train::warmup_steps(config, total) == warmup);
    CHECK(rate_multiplier(config, 0, total) == 0);
    CHECK(rate_multiplier(config, warmup / 2, total) == doctest::Approx(0.5));
    CHECK(rate_multiplier(config, warmup, total) == 1);
    CHECK(rate_multiplier(config, total, total) == 0);
  }
}

TEST_CASE("a warm-up in steps takes the place of the fraction") {
  const ScheduleConfig config{.warmup_steps = 10};
  CHECK(rate_multiplier(config, 5, 1000) == 0.5);
  CHECK(rate_multiplier(config, 10, 1000) == 1);
  CHECK(rate_multiplier(config, 999, 1000) == 1);
}

TEST_CASE("inverse root with a hold is TIGER's: constant, then sqrt(hold / step)") {
  const ScheduleConfig config{.kind = Schedule::inverse_root, .hold_steps = 10000};
  CHECK(rate_multiplier(config, 0, 200000) == 1);
  CHECK(rate_multiplier(config, 10000, 200000) == 1);
  CHECK(rate_multiplier(config, 40000, 200000) == 0.5);
}

TEST_CASE("every schedule stays between 0 and 1 and keeps its last value") {
  for (const Schedule kind :
       {Schedule::constant, Schedule::linear, Schedule::cosine, Schedule::inverse_root,
        Schedule::cosine_restarts, Schedule::polynomial}) {
    const ScheduleConfig config{.kind = kind, .warmup = 0.1, .cycles = 3, .end = 0.2};
    for (simgr::Index step = 0; step < 150; ++step) {
      const double multiplier = rate_multiplier(config, step, 100);
      CHECK(multiplier >= 0);
      CHECK(multiplier <= 1);
      if (step > 100 && kind != Schedule::inverse_root) {
        CHECK(multiplier == rate_multiplier(config, 100, 100));
      }
    }
  }
}

TEST_CASE("runs of no step and of warm-up alone have a rate") {
  CHECK(rate_multiplier({.kind = Schedule::cosine}, 0, 0) == 1);
  CHECK(rate_multiplier({.kind = Schedule::cosine, .warmup = 1}, 5, 10) == 0.5);
  CHECK(rate_multiplier({.kind = Schedule::linear, .warmup = 1}, 10, 10) == 1);
}

TEST_CASE("two warm-ups at once are refused") {
  CHECK(simgr::train::check(simgr::train::ScheduleConfig{.warmup = 0.1, .warmup_steps = 3})
            .find("both set") != std::string::npos);
  CHECK(simgr::train::check(simgr::train::ScheduleConfig{.warmup = 2})
            .find("warmup: expected 0 to 1") == 0);
  CHECK(simgr::train::check(simgr::train::ScheduleConfig{}).empty());
}
