// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <simgr/core/error.hpp>
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::io {

/// A regular file open for reading. Reads all that was asked or says why not.
///
/// Errors  IoError with path, call and the system's reason, also for what is no regular file;
///         DataError if the file became shorter meanwhile
class InputFile {
public:
  InputFile() = default;
  InputFile(InputFile&& other) noexcept
      : path_(std::move(other.path_)), size_(other.size_),
        handle_(std::exchange(other.handle_, -1)) {}
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile() {
    if (handle_ >= 0) {
      ::close(handle_);
    }
  }

  static Result<InputFile> try_open(const std::string& path) {
    InputFile file;
    file.path_ = path;
    if (path.find('\0') != std::string::npos) {
      return IoError("a path cannot contain a NUL byte", {.file = path.c_str()});
    }
    do {  // O_NONBLOCK: opening a pipe must not wait for its writer
      file.handle_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (file.handle_ < 0 && errno == EINTR);
    struct stat facts {};
    if (file.handle_ < 0 || ::fstat(file.handle_, &facts) != 0) {
      return file.failed("open");
    }
    if (!S_ISREG(facts.st_mode)) {
      return IoError("not a regular file", {.file = path});
    }
    file.size_ = static_cast<Index>(facts.st_size);
    return file;
  }

  Index size() const noexcept { return size_; }
  const std::string& path() const noexcept { return path_; }
  int handle() const noexcept { return handle_; }

  Failure read(void* out, Index bytes) {
    Index done = 0;
    while (done < bytes) {
      const ssize_t got = ::read(handle_, static_cast<std::byte*>(out) + done,
                                 static_cast<std::size_t>(bytes - done));
      if (got < 0 && errno != EINTR) {
        return failed("read");
      }
      if (got == 0) {
        return DataError("the file became shorter while it was read", {.file = path_});
      }
      done += std::max(static_cast<Index>(got), Index{0});
    }
    return std::nullopt;
  }

private:
  Error failed(const char* call) const {
    return IoError(std::string(call) + ": " + std::strerror(errno), {.file = path_});
  }

  std::string path_;
  Index size_ = 0;
  int handle_ = -1;
};

/// A small file whole.
///
/// Errors  those of InputFile; DataError where it has more than `most` bytes
inline Result<std::string> try_read_text(const std::string& path, Index most) {
  auto file = InputFile::try_open(path);
  if (!file) {
    return file.error();
  }
  if (file->size() > most) {
    return DataError("expected at most " + std::to_string(most) + " bytes, found " +
                         std::to_string(file->size()),
                     {.file = path});
  }
  std::string text(static_cast<std::size_t>(file->size()), '\0');
  if (Failure failure = file->read(text.data(), file->size())) {
    return *std::move(failure);
  }
  return text;
}

}  // namespace simgr::SIMGR_ABI::io
