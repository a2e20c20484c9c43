// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI {

/// Where in the outside world something was wrong. Unknown parts stay empty or negative.
struct Where {
  std::string file{};        // path as the caller gave it
  std::int64_t line = -1;    // 1-based
  std::int64_t offset = -1;  // bytes from the start of the file
  std::string field{};       // column, tensor, or option
};

/// What went wrong, one enumerator for each class below.
enum class ErrorKind { config, data, shape, io, device };

/// Base of everything the library throws. `what()` is one sentence, with the place in front.
class Error : public std::runtime_error {
public:
  Error(ErrorKind kind, const std::string& sentence, Where where = {})
      : std::runtime_error(prefix(where) + sentence), kind_(kind), where_(std::move(where)) {}

  ErrorKind kind() const noexcept { return kind_; }
  const Where& where() const noexcept { return where_; }

private:
  static std::string prefix(const Where& where) {
    std::string text = where.file;
    if (where.line >= 0) {
      text += ':';
      text += std::to_string(where.line);
    }
    if (where.offset >= 0) {
      text += " at byte ";
      text += std::to_string(where.offset);
    }
    if (!where.field.empty() && !text.empty()) {
      text += ": ";
    }
    text += where.field;
    if (!text.empty()) {
      text += ": ";
    }
    return text;
  }

  ErrorKind kind_;
  Where where_;
};

/// A setting that cannot work: thrown before anything is allocated.
struct ConfigError : Error {
  explicit ConfigError(const std::string& sentence, Where where = {})
      : Error(ErrorKind::config, sentence, std::move(where)) {}
};
/// Content from outside that breaks its format or its range.
struct DataError : Error {
  explicit DataError(const std::string& sentence, Where where = {})
      : Error(ErrorKind::data, sentence, std::move(where)) {}
};
/// Content of the right format and the wrong shape.
struct ShapeError : Error {
  explicit ShapeError(const std::string& sentence, Where where = {})
      : Error(ErrorKind::shape, sentence, std::move(where)) {}
};
/// The operating system said no: the path, the call and its reason are in the sentence.
struct IoError : Error {
  explicit IoError(const std::string& sentence, Where where = {})
      : Error(ErrorKind::io, sentence, std::move(where)) {}
};
/// An accelerator said no.
struct DeviceError : Error {
  explicit DeviceError(const std::string& sentence, Where where = {})
      : Error(ErrorKind::device, sentence, std::move(where)) {}
};

/// Throws `error` as the class its kind names.
[[noreturn]] inline void raise(const Error& error) {
#if defined(__cpp_exceptions)
  const auto as = [&]<class Kind>(Kind kind) {
    // what() is copied as it stands: the prefix is in it already.
    static_cast<Error&>(kind) = error;
    throw kind;
  };
  switch (error.kind()) {
  case ErrorKind::config:
    as(ConfigError(""));
    break;
  case ErrorKind::data:
    as(DataError(""));
    break;
  case ErrorKind::shape:
    as(ShapeError(""));
    break;
  case ErrorKind::io:
    as(IoError(""));
    break;
  case ErrorKind::device:
    as(DeviceError(""));
    break;
  }
#endif
  stop(error.what());
}

/// A value, or the reason why there is none: what every `try_` function returns. The throwing form
/// of the same function is `std::move(result).value_or_raise()`.
///
/// Errors  value() without ok() and error() with it are broken preconditions
template <class T>
class [[nodiscard]] Result {
public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & noexcept { return *std::get_if<0>(&state_); }
  const T& value() const& noexcept { return *std::get_if<0>(&state_); }
  T&& value() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & noexcept { return value(); }
  T* operator->() noexcept { return &value(); }
  const Error& error() const noexcept { return *std::get_if<1>(&state_); }

  T value_or_raise() && {
    if (!ok()) {
      raise(error());
    }
    return std::move(*this).value();
  }

private:
  std::variant<T, Error> state_;
};

/// A step that yields nothing but may fail: empty means success.
using Failure = std::optional<Error>;

}  // namespace simgr::SIMGR_ABI
