// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <ostream>
#include <string>

#include <unistd.h>  // isatty

#include <simgr/train/report.hpp>

namespace simgr::SIMGR_ABI::train {

/// Whether a person reads what goes to this descriptor (1: standard output, 2: standard error).
inline bool is_terminal(int descriptor) noexcept {
  return ::isatty(descriptor) == 1;
}

namespace detail {

/// Decimal text with a point, whatever the locale of the host.
inline std::string fixed(double value, int decimals) {
  char text[352];
  const auto end =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, decimals);
  return {text, end.ptr};
}

/// 812, 8.1k, 812k, 1.3M.
inline std::string short_count(double value) {
  const char* unit = "";
  if (value >= 1e6) {
    value /= 1e6;
    unit = "M";
  } else if (value >= 1e3) {
    value /= 1e3;
    unit = "k";
  }
  return fixed(value, *unit != 0 && value < 100 ? 1 : 0) + unit;
}

/// 0:07, 12:30, 3:05:00; "?" where nothing is known.
inline std::string clock_text(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) {
    return "?";
  }
  const long whole = std::lround(seconds);
  const auto two = [](long value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  const std::string tail = two(whole % 60);
  return whole < 3600 ? std::to_string(whole / 60) + ":" + tail
                      : std::to_string(whole / 3600) + ":" + two(whole / 60 % 60) + ":" + tail;
}

}  // namespace detail

/// An observer that shows how training goes. On a terminal it redraws one line, at most ten times a
/// second, with rate and remaining time; elsewhere it writes one plain line an epoch.
///
///   epoch 3/50  62%  loss 6.1234  ndcg@10 .0312 (best .0330, epoch 2)  98.2k tokens/s  left 1:23
///
/// @tparam Out    anything with `<<` for strings and flush()
/// @tparam Clock  steady_clock; tests bring their own
template <class Out = std::ostream, class Clock = std::chrono::steady_clock>
class Progress {
public:
  Progress(Out& out, bool terminal) : out_(out), terminal_(terminal), drawn_(Clock::now()) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { finish(); }

  void operator()(const StepReport& report) {
    const double done =
        (static_cast<double>(report.epoch - 1) +
         static_cast<double>(report.step) / static_cast<double>(std::max<Index>(1, report.steps))) /
        static_cast<double>(std::max<Index>(1, report.epochs));
    begin(static_cast<double>(report.epoch - 1) /
              static_cast<double>(std::max<Index>(1, report.epochs)),
          report.seconds);
    if (!terminal_ || (line_open_ && Clock::now() - drawn_ < std::chrono::milliseconds(100))) {
      return;
    }
    const double percent = 100.0 * static_cast<double>(report.step) /
                           static_cast<double>(std::max<Index>(1, report.steps));
    redraw(head(report.epoch, report.epochs) + "  " + detail::fixed(percent, 0) + "%" +
           loss_text(report.loss) + validation_ + "  " +
           detail::short_count(report.tokens_per_second) + " tokens/s  left " + remaining(done));
  }

  void operator()(const EpochReport& report) {
    const double epochs = static_cast<double>(std::max<Index>(1, report.epochs));
    begin(static_cast<double>(report.epoch - 1) / epochs, report.seconds);
    if (report.validation_ndcg10) {
      if (report.best) {
        best_ = *report.validation_ndcg10;
        best_epoch_ = report.epoch;
      }
      validation_ = "  ndcg@10 " + detail::fixed(*report.validation_ndcg10, 4) +
                    (report.best ? " (best)" : best_yet());
    } else if (best_epoch_ > 0) {
      validation_ = "  ndcg@10 -" + best_yet();
    }
    const std::string line = head(report.epoch, report.epochs) + loss_text(report.loss) +
                             validation_ + "  " + detail::fixed(report.seconds, 2) + " s  " +
                             detail::short_count(report.tokens_per_second) + " tokens/s  left " +
                             remaining(static_cast<double>(report.epoch) / epochs);
    if (terminal_) {
      redraw(line);
    } else {
      out_ << line << "\n";
      out_.flush();
    }
  }

  /// Ends the redrawn line, so that other output can follow. The destructor does it too.
  void finish() {
    if (line_open_) {
      out_ << "\n";
      out_.flush();
      line_open_ = false;
    }
  }

private:
  std::string best_yet() const {
    return best_epoch_ == 0 ? std::string()
                            : " (best " + detail::fixed(best_, 4) + ", epoch " +
                                  std::to_string(best_epoch_) + ")";
  }
  static std::string head(Index epoch, Index epochs) {
    return "epoch " + std::to_string(epoch) + "/" + std::to_string(epochs);
  }

  static std::string loss_text(double loss) {  // where something is minimised
    return std::isnan(loss) ? "" : "  loss " + detail::fixed(loss, 4);
  }

  // The first report fixes where this run began: a resumed run does not count what it was given.
  void begin(double done, double seconds) {
    if (!begun_) {
      begun_ = true;
      done_at_begin_ = done;
      began_ = Clock::now() - std::chrono::duration_cast<typename Clock::duration>(
                                  std::chrono::duration<double>(std::max(0.0, seconds)));
    }
  }
  std::string remaining(double done) const {
    const double elapsed = std::chrono::duration<double>(Clock::now() - began_).count();
    return detail::clock_text(elapsed * (1 - done) / (done - done_at_begin_));
  }
  void redraw(const std::string& line) {
    out_ << "\r" << line << "\x1b[K";  // erase what an older, longer line left
    out_.flush();
    drawn_ = Clock::now();
    line_open_ = true;
  }

  Out& out_;
  bool terminal_;
  bool begun_ = false, line_open_ = false;
  double done_at_begin_ = 0, best_ = 0;
  Index best_epoch_ = 0;
  std::string validation_;
  typename Clock::time_point began_{}, drawn_{};
};

}  // namespace simgr::SIMGR_ABI::train
