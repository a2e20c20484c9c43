// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>  // std::strerror
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <simgr/core/error.hpp>
#include <simgr/data/json.hpp>
#include <simgr/data/utf8.hpp>
#include <simgr/train/log.hpp>
#include <simgr/train/search_space.hpp>

// What happened in a search, one JSON object a line, trials counted from 1:
//
//   {"simgr.search":1,"model":"sasrec","space":"rate=1e-4..1e-2:log",…}      what all trials share
//   {"trial":1,"settings":{"optimizer.rate":"0.003"}}                        it begins
//   {"trial":1,"epoch":1,"loss":6.1,"validation_ndcg@10":0.03,"seconds":2.5}
//   {"trial":1,"ended":"no improvement"}                                     before its last epoch
//   {"trial":2,"failed":"encoder.width: …"}                                  it cannot be trained

namespace simgr::SIMGR_ABI::train {

/// A line of the journal behind the first.
struct SearchEvent {
  enum class Kind { begins, epoch, ended, failed };
  Kind kind = Kind::begins;
  Index trial = 0;         // from 0
  Configuration settings;  // begins
  Index epoch = 0;         // epoch, from 1
  double loss = 0, seconds = 0;
  std::optional<double> validation;
  std::string sentence;  // ended, failed
};

/// Without the line feed. Numbers read back bit for bit.
inline std::string search_line(const SearchEvent& event) {
  std::string line = "{\"trial\":" + std::to_string(event.trial + 1);
  const auto number = [](const std::optional<double>& value) {
    const std::string text = detail::log_text(value);
    return text.empty() ? std::string("null") : text;
  };
  switch (event.kind) {
  case SearchEvent::Kind::begins: {
    line += ",\"settings\":{";
    for (const Chosen& one : event.settings) {
      line += line.back() == '{' ? "" : ",";
      line += data::json_quote(one.name) + ":" + data::json_quote(one.value);
    }
    line += "}";
    break;
  }
  case SearchEvent::Kind::epoch:
    line += ",\"epoch\":" + std::to_string(event.epoch) + ",\"loss\":" + number(event.loss) +
            ",\"validation_ndcg@10\":" + number(event.validation) +
            ",\"seconds\":" + number(event.seconds);
    break;
  case SearchEvent::Kind::ended:
  case SearchEvent::Kind::failed: {
    const bool text = data::first_bad_utf8(event.sentence) < 0;  // a sentence may name a file
    line += event.kind == SearchEvent::Kind::ended ? ",\"ended\":" : ",\"failed\":";
    line += data::json_quote(text ? event.sentence : data::printable(event.sentence, 400));
    break;
  }
  }
  return line + "}";
}

/// Errors  DataError: no JSON, not one of the forms above, numbers out of their ranges
inline Result<SearchEvent> try_read_search_line(std::string_view line, const Where& where) {
  auto parsed = data::try_parse_json(line, where, {.depth = 2, .values = 1000});
  if (!parsed) {
    return parsed.error();
  }
  const data::JsonValue& object = *parsed;
  const auto wrong = [&](const char* field, const std::string& sentence) {
    Where place = where;
    place.field = field;
    return DataError(sentence, std::move(place));
  };
  const auto integer = [&](const char* key) {
    const data::JsonValue* value = object.find(key);
    return value == nullptr ? std::nullopt : value->as_integer();
  };
  SearchEvent event;
  const auto trial = integer("trial");
  if (!trial || *trial < 1 || *trial > (std::int64_t{1} << 32)) {
    return wrong("trial", "expected the number of a trial, from 1");
  }
  event.trial = static_cast<Index>(*trial) - 1;
  if (const data::JsonValue* settings = object.find("settings")) {
    if (settings->as_object() == nullptr) {
      return wrong("settings", "expected an object, found " + std::string(settings->kind_name()));
    }
    for (const data::JsonMember& member : *settings->as_object()) {
      if (member.value.as_text() == nullptr) {
        return wrong("settings", "expected texts, found " + std::string(member.value.kind_name()));
      }
      event.settings.push_back({member.key, *member.value.as_text()});
    }
    return event;
  }
  for (const auto& [key, kind] : {std::pair("ended", SearchEvent::Kind::ended),
                                  std::pair("failed", SearchEvent::Kind::failed)}) {
    if (const data::JsonValue* sentence = object.find(key)) {
      if (sentence->as_text() == nullptr) {
        return wrong(key, "expected a text, found " + std::string(sentence->kind_name()));
      }
      event.kind = kind;
      event.sentence = *sentence->as_text();
      return event;
    }
  }
  event.kind = SearchEvent::Kind::epoch;
  const auto epoch = integer("epoch");
  if (!epoch || *epoch < 1) {
    return wrong("epoch", "expected settings, an epoch, ended or failed");
  }
  event.epoch = static_cast<Index>(*epoch);
  const auto number = [&](const char* key) {
    const data::JsonValue* value = object.find(key);
    return value == nullptr ? std::nullopt : value->as_number();
  };
  const auto seconds = number("seconds");
  if (!seconds || !(*seconds >= 0 && *seconds < 1e12)) {
    return wrong("seconds", "expected a time of at least 0");
  }
  event.seconds = *seconds;
  event.loss = number("loss").value_or(std::nan(""));
  event.validation = number("validation_ndcg@10");
  if (event.validation && !(*event.validation >= 0 && *event.validation <= 1)) {
    return wrong("validation_ndcg@10", "expected 0 to 1, or null");
  }
  return event;
}

/// The file of a search. A line is written by one call and is on disk when try_append returns; so a
/// process that is killed leaves whole lines, and at most one cut line at the end, which opening the
/// file again cuts off.
///
/// The file is locked as long as this object lives, where the file system knows locks.
class SearchJournal {
public:
  /// Opens or begins a journal.
  ///
  /// @param head  names and values of what all trials share
  ///
  /// Errors  IoError: the system's reason, or another search writes it now. DataError: no journal;
  ///         a line that is none, with its number; a journal of another search, with what differs.
  ///         The file is then as it was.
  static Result<SearchJournal> try_open(const std::string& path, std::span<const Chosen> head) {
    SearchJournal journal(path);
    if (Failure failure = journal.read(head)) {
      return *std::move(failure);
    }
    return journal;
  }

  SearchJournal(SearchJournal&& other) noexcept
      : path_(std::move(other.path_)), handle_(std::exchange(other.handle_, -1)),
        events_(std::move(other.events_)) {}
  SearchJournal& operator=(SearchJournal&&) = delete;
  ~SearchJournal() {
    if (handle_ >= 0) {
      ::close(handle_);
    }
  }

  const std::string& path() const noexcept { return path_; }
  /// What stood in it when it was opened, line 2 first.
  const std::vector<SearchEvent>& events() const noexcept { return events_; }

  /// Errors  IoError
  Failure try_append(const SearchEvent& event) { return write(search_line(event) + "\n"); }

private:
  static constexpr std::string_view mark = "{\"simgr.search\":1";

  explicit SearchJournal(std::string path) : path_(std::move(path)) {}

  Error failed(const char* call) const {
    return IoError(std::string(call) + ": " + std::strerror(errno), {.file = path_});
  }
  template <class Call>
  static auto again(Call&& call) {
    auto result = call();
    while (result < 0 && errno == EINTR) { result = call(); }
    return result;
  }

  static std::string head_line(std::span<const Chosen> head) {
    std::string line(mark);
    for (const Chosen& one : head) {
      line += "," + data::json_quote(one.name) + ":" + data::json_quote(one.value);
    }
    return line + "}";
  }

  Failure read(std::span<const Chosen> head) {
    handle_ = again([&] { return ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
    if (handle_ < 0) {
      return failed("open");
    }
    struct stat facts {};
    if (::fstat(handle_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
      return IoError("not a regular file", {.file = path_});
    }
    if (again([&] { return ::flock(handle_, LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK) {
      return IoError("another search writes this journal now", {.file = path_});
    }
    std::string text;
    char block[1 << 14];
    ssize_t count = 0;
    while ((count = again([&] { return ::read(handle_, block, sizeof block); })) > 0) {
      text.append(block, static_cast<std::size_t>(count));
    }
    if (count < 0) {
      return failed("read");
    }
    const std::size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
    const std::string_view beginning = std::string_view(text).substr(0, mark.size());
    if (whole > 0 ? beginning != mark : !mark.starts_with(beginning)) {
      return DataError("this is no journal of a search; it is left as it is",
                       {.file = path_, .line = 1});
    }
    if (Failure failure = parse(std::string_view(text).substr(0, whole), head)) {
      return failure;
    }
    const auto length = static_cast<off_t>(whole);
    if (again([&] { return ::ftruncate(handle_, length); }) != 0 ||
        ::lseek(handle_, length, SEEK_SET) != length) {
      return failed("truncate");
    }
    return whole > 0 ? Failure{} : write(head_line(head) + "\n");
  }

  Failure parse(std::string_view text, std::span<const Chosen> head) {
    Where where{.file = path_, .line = 0};
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (++where.line == 1) {
        if (Failure failure = compare(line, head, where)) {
          return failure;
        }
        continue;
      }
      auto event = try_read_search_line(line, where);
      if (!event) {
        return event.error();
      }
      events_.push_back(std::move(*event));
    }
    return {};
  }

  static Failure compare(std::string_view line, std::span<const Chosen> head, const Where& where) {
    auto saved = data::try_parse_json(line, where, {.depth = 2, .values = 1000});
    if (!saved) {
      return saved.error();
    }
    std::string differences;
    for (const Chosen& one : head) {
      const data::JsonValue* value = saved->find(one.name);
      const std::string* was = value == nullptr ? nullptr : value->as_text();
      if (was == nullptr || *was != one.value) {
        differences += (differences.empty() ? "" : "; ") + one.name + " was " +
                       (was == nullptr ? "unknown" : *was) + ", is " + one.value;
      }
    }
    return differences.empty()
               ? Failure{}
               : DataError("the search that was saved differs from this one: " + differences,
                           where);
  }

  Failure write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = again([&] { return ::write(handle_, text.data(), text.size()); });
      if (count <= 0) {
        errno = count == 0 ? EIO : errno;
        return failed("write");
      }
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return again([&] { return ::fdatasync(handle_); }) == 0 || errno == EINVAL
               ? Failure{}
               : Failure{failed("fdatasync")};
  }

  std::string path_;
  int handle_ = -1;
  std::vector<SearchEvent> events_;
};

}  // namespace simgr::SIMGR_ABI::train
