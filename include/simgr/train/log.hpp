// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>  // std::strerror
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <simgr/core/error.hpp>
#include <simgr/train/report.hpp>

namespace simgr::SIMGR_ABI::train {

/// The columns of the training log, in their order; keys are never renamed.
template <class F>
void for_each_column(const EpochReport& report, F&& f) {
  f("epoch", report.epoch);
  f("epochs", report.epochs);
  f("loss", report.loss);
  f("seconds", report.seconds);
  f("tokens_per_second", report.tokens_per_second);
  f("validation_ndcg@10", report.validation_ndcg10);
  f("rate", report.rate);
  f("gradient_norm", report.gradient_norm);
  f("best", report.best);
}

/// One JSON object a line, or a header and comma-separated lines.
enum class LogFormat { jsonl, csv };

namespace detail {

/// Shortest text that reads back as the same number; empty for what is absent or not finite.
inline std::string log_text(Index value) {
  return std::to_string(value);
}
inline std::string log_text(bool value) {
  return value ? "true" : "false";
}
inline std::string log_text(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return std::isfinite(value) ? std::string(text, end.ptr) : std::string();
}
inline std::string log_text(const std::optional<double>& value) {
  return value ? log_text(*value) : std::string();
}

/// The epoch a line of either format begins with, or -1.
inline Index epoch_of_line(std::string_view line) noexcept {
  constexpr std::string_view json = "{\"epoch\":";
  if (line.substr(0, json.size()) == json) {
    line.remove_prefix(json.size());
  }
  Index epoch = -1;
  const auto end = std::from_chars(line.data(), line.data() + line.size(), epoch);
  return end.ec == std::errc{} && end.ptr != line.data() + line.size() && *end.ptr == ',' ? epoch
                                                                                          : -1;
}

}  // namespace detail

/// One epoch as a line of the log, without the line feed. Numbers read back bit for bit. What is
/// absent or not finite is `null` in JSON, empty in CSV.
inline std::string log_line(const EpochReport& report, LogFormat format) {
  std::string line;
  for_each_column(report, [&](const char* name, const auto& value) {
    std::string text = detail::log_text(value);
    line += line.empty() ? "" : ",";
    if (format == LogFormat::jsonl) {
      line += std::string("\"") + name + "\":" + (text.empty() ? "null" : text);
    } else {
      line += text;
    }
  });
  return format == LogFormat::jsonl ? "{" + line + "}" : line;
}

/// The first line of a CSV log.
inline std::string csv_header() {
  std::string line;
  for_each_column({}, [&](const char* name, const auto&) {
    line += line.empty() ? "" : ",";
    line += name;
  });
  return line;
}

/// An observer that appends one line an epoch to a file and flushes it: a killed run leaves whole
/// lines, or one cut line at the end.
///
/// A fresh run (`finished_epochs` 0) replaces the file. A resumed one keeps the lines of the epochs
/// it goes on from and drops the rest: a line cut by a kill, and epochs that will run again.
///
/// Errors  IoError naming the path when the file cannot be read, written or replaced; DataError
///         where a resumed run finds a file that does not begin as such a log: it stays as it is
class EpochLog {
public:
  EpochLog(const std::filesystem::path& path, LogFormat format, Index finished_epochs = 0)
      : EpochLog(try_open(path, format, finished_epochs).value_or_raise()) {}

  static Result<EpochLog> try_open(const std::filesystem::path& path, LogFormat format,
                                   Index finished_epochs = 0) {
    EpochLog log;
    log.path_ = path;
    log.format_ = format;
    if (finished_epochs > 0) {
      if (Failure failure = log.cut(finished_epochs)) {
        return *std::move(failure);
      }
    }
    log.file_.reset(std::fopen(path.c_str(), finished_epochs > 0 ? "ab" : "wb"));
    if (log.file_ == nullptr) {
      return log.failed("open");
    }
    const bool at_end = std::fseek(log.file_.get(), 0, SEEK_END) == 0;
    if (format == LogFormat::csv && at_end && std::ftell(log.file_.get()) == 0) {
      if (Failure failure = log.write(csv_header() + "\n")) {
        return *std::move(failure);
      }
    }
    return log;
  }

  Failure try_append(const EpochReport& report) { return write(log_line(report, format_) + "\n"); }

  void operator()(const EpochReport& report) {
    if (const Failure failure = try_append(report)) {
      raise(*failure);
    }
  }

private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };

  EpochLog() = default;

  Error failed(const char* call) const {
    return IoError(std::string("cannot ") + call + ": " + std::strerror(errno),
                   {.file = path_.string()});
  }

  /// Cuts an older log, if there is one, behind the last whole line of the epochs 1 … finished.
  Failure cut(Index finished) const {
    const std::unique_ptr<std::FILE, Close> old(std::fopen(path_.c_str(), "rb"));
    if (old == nullptr) {
      return errno == ENOENT ? Failure{} : Failure{failed("open")};
    }
    std::uintmax_t kept = 0, read = 0;
    std::string line, first;
    bool whole = false;  // the first line has its end
    for (int c = std::fgetc(old.get()); c != EOF; c = std::fgetc(old.get())) {
      ++read;
      if (c != '\n') {
        line += static_cast<char>(c);
        continue;
      }
      first = whole ? first : line;
      whole = true;
      const Index epoch = detail::epoch_of_line(line);
      const bool header = kept == 0 && format_ == LogFormat::csv && line == csv_header();
      if (!header && (epoch < 1 || epoch > finished)) {
        break;
      }
      kept = read;
      line.clear();
    }
    if (!begins_as_log(whole ? first : line, whole)) {
      return DataError("a resumed run goes on with its log, and this file is none",
                       {.file = path_.string(), .line = 1});
    }
    if (std::ferror(old.get()) != 0) {
      return failed("read");
    }
    std::error_code error;
    std::filesystem::resize_file(path_, kept, error);
    return error ? Failure{IoError("cannot cut: " + error.message(), {.file = path_.string()})}
                 : Failure{};
  }

  /// Whether a first line, whole or cut by a kill, is that of a log.
  bool begins_as_log(std::string_view line, bool whole) const {
    const std::string mark = format_ == LogFormat::csv ? csv_header() : "{\"epoch\":";
    return line.starts_with(mark) || (!whole && mark.starts_with(line));
  }

  Failure write(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() ||
        std::fflush(file_.get()) != 0) {
      return failed("write");
    }
    return {};
  }

  std::filesystem::path path_;
  LogFormat format_ = LogFormat::jsonl;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace simgr::SIMGR_ABI::train
