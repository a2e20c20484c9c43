// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>  // std::rename
#include <cstdlib>
#include <cstring>
#include <filesystem>
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
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::io {

/// The calls of the operating system that AtomicFile makes: a seam for tests that let each of them
/// fail. Same results and errno as the calls they are named after.
struct PosixFiles {
  int open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }
  int flock(int handle, int operation) { return ::flock(handle, operation); }
  ssize_t write(int handle, const void* data, std::size_t bytes) {
    return ::write(handle, data, bytes);
  }
  int fchmod(int handle, mode_t mode) { return ::fchmod(handle, mode); }
  int fsync(int handle) { return ::fsync(handle); }
  int duplicate(int handle) { return ::fcntl(handle, F_DUPFD_CLOEXEC, 0); }
  int close(int handle) { return ::close(handle); }
  int link(const char* from, const char* to) { return ::link(from, to); }
  int rename(const char* from, const char* to) { return ::rename(from, to); }
  int unlink(const char* path) { return ::unlink(path); }
};

/// What becomes of the file that stood there before.
enum class Keep {
  nothing,
  previous  // it stays beside the new one as `<path>.previous`
};

/// The name under which Keep::previous leaves the file that was replaced.
inline std::string previous_path(const std::string& path) {
  return path + ".previous";
}

/// Replaces one file so that a reader, a killed process or a power failure meets the old content or
/// the new one, never a mixture and never nothing.
///
/// The content goes to `<path>.tmp-<process>-<count>` in the same folder, made exclusively and
/// readable by nobody else. commit() flushes it, gives it the permissions of the file it replaces
/// (0644 for a new one), fsyncs and closes it, renames it over `path` and fsyncs the folder. A
/// symbolic link is followed, also to a file that is not there yet; anything that is no regular
/// file is refused, so nothing replaces a device.
///
/// The temporary file is locked (flock) as long as its writer lives. Whoever begins to write the
/// same path meanwhile gets an IoError; files of exactly this form of name that nobody holds are
/// leftovers of dead processes and are removed, `<path>.tmp-backup` is somebody's own. Where the
/// file system knows no locks, leftovers stay and the last rename wins.
///
/// @tparam Files  the system calls, see PosixFiles
///
/// Cost    64 KiB of buffer; two fsyncs a commit
/// Errors  IoError with path, call and the system's reason; nothing is left behind and the old file
///         stands. The one exception is a failing fsync of the folder, behind the rename: the new
///         file stands and is whole, but the next power failure may bring the old one back.
template <class Files = PosixFiles>
class AtomicFile {
public:
  static Result<AtomicFile> try_open(const std::string& path, Files files = {}) {
    AtomicFile file(std::move(files));
    if (Failure failure = file.begin(path)) {
      return *std::move(failure);
    }
    return file;
  }

  AtomicFile(AtomicFile&& other) noexcept
      : files_(std::move(other.files_)), path_(std::move(other.path_)),
        temporary_(std::exchange(other.temporary_, {})), buffer_(std::move(other.buffer_)),
        mode_(other.mode_), handle_(std::exchange(other.handle_, -1)),
        lock_(std::exchange(other.lock_, -1)) {}
  AtomicFile& operator=(AtomicFile&&) = delete;
  /// Without a commit the old file stays and the temporary one goes.
  ~AtomicFile() { abandon(); }

  /// Appends to the content, through the buffer. After a failure this object is spent.
  Failure write(std::span<const std::byte> bytes) {
    if (bytes.size() + buffer_.size() < buffer_bytes) {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
      return std::nullopt;
    }
    Failure failure = flush();
    if (!failure) {
      failure = write_through(bytes);
    }
    if (failure) {
      abandon();
    }
    return failure;
  }
  Failure write(std::string_view text) {
    return write(std::as_bytes(std::span(text.data(), text.size())));
  }

  /// Puts the content in place. Afterwards this object is spent, whether it worked or not.
  Failure commit(Keep keep = Keep::nothing) {
    if (Failure failure = seal()) {
      abandon();
      return failure;
    }
    if (keep == Keep::previous) {
      if (Failure failure = set_aside()) {
        abandon();
        return failure;
      }
    }
    if (rename(temporary_, path_) != 0) {
      Failure failure = failed("rename", path_);
      abandon();
      return failure;
    }
    temporary_.clear();
    Failure failure = sync_folder();
    abandon();  // nothing is left but the lock
    return failure;
  }

private:
  static constexpr std::size_t buffer_bytes = std::size_t{1} << 16;

  explicit AtomicFile(Files files) : files_(std::move(files)) {}

  static Error failed(const char* call, const std::string& path) {
    return IoError(std::string(call) + ": " + std::strerror(errno), {.file = path});
  }

  /// Calls again as long as a signal came in between.
  template <class Call>
  static auto again(Call&& call) {
    auto result = call();
    while (result < 0 && errno == EINTR) { result = call(); }
    return result;
  }

  int rename(const std::string& from, const std::string& to) {
    return again([&] { return files_.rename(from.c_str(), to.c_str()); });
  }

  std::string folder() const {
    const auto slash = path_.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
  }

  Failure begin(const std::string& path) {
    if (path.empty() || path.find('\0') != std::string::npos) {
      return IoError("not a path that can be written", {.file = path.c_str()});
    }
    if (Failure failure = follow_links(path)) {
      return failure;
    }
    struct stat facts {};
    if (::stat(path_.c_str(), &facts) == 0) {
      if (!S_ISREG(facts.st_mode)) {
        return IoError("cannot be replaced: not a regular file", {.file = path});
      }
      mode_ = facts.st_mode & 07777;
    }

    // The folder is locked for the moment in which somebody looks for rivals and enters the list.
    const std::string parent = folder();
    const int gate =
        again([&] { return files_.open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
    if (gate < 0) {
      return failed("open", parent);
    }
    again([&] { return files_.flock(gate, LOCK_EX); });  // fails only where there are no locks
    Failure failure = turn_away_rivals();
    if (!failure) {
      failure = open_temporary();
    }
    files_.close(gate);
    return failure;
  }

  /// Sets path_ to where the content goes.
  Failure follow_links(const std::string& path) {
    path_ = path;
    for (int links = 0; links < 40; ++links) {  // as many as the system follows
      if (char* target = ::realpath(path_.c_str(), nullptr)) {
        path_ = target;
        std::free(target);
        return std::nullopt;
      }
      std::error_code error;
      const auto target = std::filesystem::read_symlink(path_, error);
      if (error) {
        return std::nullopt;  // a new file
      }
      path_ = std::filesystem::path(path_).parent_path() / target;
    }
    return IoError("too many symbolic links", {.file = path});
  }

  /// Whether `name` is that of a temporary file: `prefix`, process, count, and of set_aside
  /// "-previous". Numbers are as std::to_string writes them: a date with a month of 05 is none.
  static bool is_temporary(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) {
      return false;
    }
    name.remove_prefix(prefix.size());
    const auto take_number = [&name](std::size_t longest) {
      const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
      const bool good = digits >= 1 && digits <= longest && (digits == 1 || name[0] != '0');
      name.remove_prefix(digits);
      return good;
    };
    if (!take_number(10) || !name.starts_with('-')) {
      return false;
    }
    name.remove_prefix(1);
    return take_number(3) && (name.empty() || name == "-previous");
  }

  /// Removes what dead writers of this path left, and refuses where a living one is at work.
  Failure turn_away_rivals() {
    const std::string prefix = path_.substr(path_.rfind('/') + 1) + ".tmp-";
    std::error_code error;
    std::vector<std::string> rivals;
    for (auto entry = std::filesystem::directory_iterator(folder(), error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      std::string name = entry->path().filename().string();
      if (is_temporary(name, prefix)) {
        rivals.push_back(entry->path().string());
      }
    }
    std::vector<std::string> dead;
    for (const std::string& rival : rivals) {
      const int handle = again([&] {
        return files_.open(rival.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0);
      });
      if (handle < 0) {
        continue;  // gone, or not ours to judge
      }
      const int held = again([&] { return files_.flock(handle, LOCK_EX | LOCK_NB); });
      const bool alive = held != 0 && errno == EWOULDBLOCK;
      files_.close(handle);
      if (alive) {
        return IoError("another writer is saving this file now (" + rival + ")", {.file = path_});
      }
      if (held == 0) {
        dead.push_back(rival);
      }
    }
    for (const std::string& leftover : dead) { files_.unlink(leftover.c_str()); }
    return std::nullopt;
  }

  Failure open_temporary() {
    for (int count = 0; count < 1000; ++count) {
      std::string name = path_ + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(count);
      handle_ = again(
          [&] { return files_.open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); });
      if (handle_ >= 0) {
        temporary_ = std::move(name);
        again([&] { return files_.flock(handle_, LOCK_EX | LOCK_NB); });
        // Shares the lock, so that the content can be closed first.
        lock_ = again([&] { return files_.duplicate(handle_); });
        if (lock_ < 0) {
          Failure failure = failed("fcntl", temporary_);
          abandon();
          return failure;
        }
        return std::nullopt;
      }
      if (errno != EEXIST) {
        return failed("open", name);
      }
    }
    return IoError("too many temporary files beside it", {.file = path_});
  }

  Failure write_through(std::span<const std::byte> bytes) {
    if (handle_ < 0) {
      return IoError("is closed: it was committed, or a write failed", {.file = path_});
    }
    while (!bytes.empty()) {
      const ssize_t count =
          again([&] { return files_.write(handle_, bytes.data(), bytes.size()); });
      if (count <= 0) {
        errno = count == 0 ? EIO : errno;  // a device that takes nothing and does not say why
        return failed("write", temporary_);
      }
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return std::nullopt;
  }

  Failure flush() {
    Failure failure = write_through(buffer_);
    buffer_.clear();
    return failure;
  }

  /// All content on disk, with its final permissions.
  Failure seal() {
    if (Failure failure = flush()) {
      return failure;
    }
    if (again([&] { return files_.fchmod(handle_, mode_); }) != 0) {
      return failed("fchmod", temporary_);
    }
    if (again([&] { return files_.fsync(handle_); }) != 0) {
      return failed("fsync", temporary_);
    }
    if (files_.close(std::exchange(handle_, -1)) != 0 && errno != EINTR) {  // EINTR: closed, too
      return failed("close", temporary_);
    }
    return std::nullopt;
  }

  /// A second name for the old file, moved over `.previous`: at no moment is `path` missing.
  Failure set_aside() {
    const std::string second = temporary_ + "-previous";
    if (again([&] { return files_.link(path_.c_str(), second.c_str()); }) != 0) {
      if (errno == ENOENT) {
        return std::nullopt;  // there was no old file
      }
      const bool linkless = errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK;
      if (!linkless || rename(path_, previous_path(path_)) != 0) {
        return failed("link", second);
      }
      return std::nullopt;
    }
    const bool moved = rename(second, previous_path(path_)) == 0;
    Failure failure = moved ? Failure() : Failure(failed("rename", previous_path(path_)));
    files_.unlink(second.c_str());  // still there where both names were the same file already
    return failure;
  }

  Failure sync_folder() {
    const std::string parent = folder();
    const int handle =
        again([&] { return files_.open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
    if (handle < 0) {
      return failed("open", parent);
    }
    Failure failure;
    if (again([&] { return files_.fsync(handle); }) != 0 && errno != EINVAL) {  // EINVAL: no need
      failure = failed("fsync", parent);
    }
    files_.close(handle);
    return failure;
  }

  void abandon() {
    if (!temporary_.empty()) {
      files_.unlink(temporary_.c_str());
      temporary_.clear();
    }
    for (int* handle : {&handle_, &lock_}) {
      if (*handle >= 0) {
        files_.close(std::exchange(*handle, -1));
      }
    }
  }

  [[no_unique_address]] Files files_;
  std::string path_, temporary_;
  std::vector<std::byte> buffer_;
  mode_t mode_ = 0644;
  int handle_ = -1, lock_ = -1;
};

/// Replaces a whole small file: AtomicFile in one call.
inline Failure try_replace_file(const std::string& path, std::string_view text,
                                Keep keep = Keep::nothing) {
  auto file = AtomicFile<>::try_open(path);
  if (!file) {
    return file.error();
  }
  Failure failure = file->write(text);
  return failure ? failure : file->commit(keep);
}

inline void replace_file(const std::string& path, std::string_view text,
                         Keep keep = Keep::nothing) {
  if (Failure failure = try_replace_file(path, text, keep)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
