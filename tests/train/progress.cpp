// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/progress.hpp>

#include <sstream>
#include <string>

#include <doctest/doctest.h>

namespace {

/// A clock that stands still until told otherwise.
struct ManualClock {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<ManualClock>;
  static inline time_point time{};
  static time_point now() { return time; }
};

using Progress = simgr::train::Progress<std::ostringstream, ManualClock>;

void pass(double seconds) {
  ManualClock::time += std::chrono::milliseconds(static_cast<long>(seconds * 1000));
}

}  // namespace

TEST_CASE("away from a terminal there is one plain line an epoch") {
  std::ostringstream out;
  {
    Progress progress(out, false);
    pass(10);
    progress(
        simgr::train::StepReport{.epoch = 1, .epochs = 4, .step = 1, .steps = 2, .seconds = 5});
    pass(5);
    progress(simgr::train::EpochReport{.epoch = 1,
                                       .epochs = 4,
                                       .loss = 6.5,
                                       .seconds = 10,
                                       .tokens_per_second = 12345,
                                       .validation_ndcg10 = 0.0402,
                                       .best = true});
    pass(10);
    progress(simgr::train::EpochReport{.epoch = 2,
                                       .epochs = 4,
                                       .loss = 6.25,
                                       .seconds = 10,
                                       .tokens_per_second = 987,
                                       .validation_ndcg10 = 0.0312});
    pass(10);
    progress(simgr::train::EpochReport{
        .epoch = 3, .epochs = 4, .loss = 6, .seconds = 10, .tokens_per_second = 987});
  }
  CHECK(out.str() ==
        "epoch 1/4  loss 6.5000  ndcg@10 0.0402 (best)  10.00 s  12.3k tokens/s  left 0:30\n"
        "epoch 2/4  loss 6.2500  ndcg@10 0.0312 (best 0.0402, epoch 1)  10.00 s  987 tokens/s  "
        "left 0:20\n"
        "epoch 3/4  loss 6.0000  ndcg@10 - (best 0.0402, epoch 1)  10.00 s  987 tokens/s  "
        "left 0:10\n");
}

TEST_CASE("on a terminal one line is redrawn, at most ten times a second, and ended once") {
  std::ostringstream out;
  {
    Progress progress(out, true);
    for (simgr::Index step = 1; step <= 100; ++step) {
      pass(0.01);
      progress(simgr::train::StepReport{.epoch = 1,
                                        .epochs = 1,
                                        .step = step,
                                        .steps = 100,
                                        .loss = 7,
                                        .seconds = 0.01 * static_cast<double>(step),
                                        .tokens_per_second = 2.5e6});
    }
  }
  const std::string text = out.str();
  const auto count = [&text](char c) { return std::count(text.begin(), text.end(), c); };
  CHECK(count('\r') == 10);
  CHECK(count('\n') == 1);
  CHECK(text.back() == '\n');
  CHECK(text.find("epoch 1/1  51%  loss 7.0000  2.5M tokens/s  left 0:00") != std::string::npos);
}

TEST_CASE("a resumed run estimates the rest from what it did itself") {
  std::ostringstream out;
  Progress progress(out, false);
  pass(20);
  progress(simgr::train::EpochReport{.epoch = 9, .epochs = 10, .loss = 1, .seconds = 20});
  CHECK(out.str().find("left 0:20\n") != std::string::npos);
}

TEST_CASE("times read as a clock") {
  CHECK(simgr::train::detail::clock_text(7.4) == "0:07");
  CHECK(simgr::train::detail::clock_text(750) == "12:30");
  CHECK(simgr::train::detail::clock_text(11100) == "3:05:00");
  CHECK(simgr::train::detail::clock_text(-1) == "?");
  CHECK(simgr::train::detail::clock_text(std::nan("")) == "?");
}

TEST_CASE("an observer hears what it can take, and ends training by returning false") {
  int steps = 0;
  auto only_steps = [&steps](const simgr::train::StepReport&) { ++steps; };
  CHECK(simgr::train::observe(only_steps, simgr::train::StepReport{}));
  CHECK(simgr::train::observe(only_steps, simgr::train::EpochReport{}));
  CHECK(steps == 1);
  auto until_three = [](const simgr::train::EpochReport& report) { return report.epoch < 3; };
  CHECK(simgr::train::observe(until_three, simgr::train::EpochReport{.epoch = 2}));
  CHECK_FALSE(simgr::train::observe(until_three, simgr::train::EpochReport{.epoch = 3}));
  simgr::train::Silent silent;
  CHECK(simgr::train::observe(silent, simgr::train::EpochReport{}));
}
