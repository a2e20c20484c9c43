// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/atomic_file.hpp>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <support/temporary_folder.hpp>

namespace {

using simgr::io::AtomicFile;
using simgr::io::Keep;
using simgr_test::read_bytes;
using simgr_test::TemporaryFolder;
using simgr_test::write_bytes;

/// Which call fails, and how. Counts open, write, fchmod, fsync, close, duplicate, link and rename.
struct Fault {
  int at = -1;          // the call that fails, counted from 0
  int error = 0;        // its errno; 0: a write that takes only one byte
  int seen = 0;         // calls so far
  bool struck = false;  // whether the fault happened
  bool after_rename = false;
  bool renamed = false;

  bool strikes() {
    struck = struck || seen == at;
    after_rename = after_rename || (seen == at && renamed);
    const bool now = seen++ == at && error != 0;
    errno = now ? error : errno;
    return now;
  }
};

/// The real calls, of which one fails.
struct FaultyFiles {
  Fault* fault;
  std::string target;

  int open(const char* path, int flags, mode_t mode) {
    return fault->strikes() ? -1 : ::open(path, flags, mode);
  }
  int flock(int handle, int operation) { return ::flock(handle, operation); }
  ssize_t write(int handle, const void* data, std::size_t bytes) {
    const bool one_byte = fault->seen == fault->at && fault->error == 0;
    return fault->strikes() ? -1 : ::write(handle, data, one_byte ? 1 : bytes);
  }
  int fchmod(int handle, mode_t mode) { return fault->strikes() ? -1 : ::fchmod(handle, mode); }
  int fsync(int) { return fault->strikes() ? -1 : 0; }
  int duplicate(int handle) { return fault->strikes() ? -1 : ::fcntl(handle, F_DUPFD_CLOEXEC, 0); }
  int close(int handle) {
    const bool fails = fault->strikes();
    const int error = errno;
    const int result = ::close(handle);  // a close that fails closes all the same
    errno = error;
    return fails ? -1 : result;
  }
  int link(const char* from, const char* to) { return fault->strikes() ? -1 : ::link(from, to); }
  int rename(const char* from, const char* to) {
    const int result = fault->strikes() ? -1 : ::rename(from, to);
    fault->renamed = fault->renamed || (result == 0 && target == to);
    return result;
  }
  int unlink(const char* path) { return ::unlink(path); }
};

std::size_t open_handles() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

template <class Files>
simgr::Failure save(const std::string& path, const std::string& text, Keep keep, Files files) {
  auto file = AtomicFile<Files>::try_open(path, files);
  if (!file) {
    return file.error();
  }
  for (std::size_t at = 0; at < text.size(); at += 50'000) {
    if (simgr::Failure failure = file->write(std::string_view(text).substr(at, 50'000))) {
      return failure;
    }
  }
  return file->commit(keep);
}

mode_t mode_of(const std::string& path) {
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  return facts.st_mode & 07777;
}

}  // namespace

TEST_CASE("a file is replaced whole, and keeps its permissions") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  simgr::io::replace_file(path, "first");
  CHECK(read_bytes(path) == "first");
  CHECK(mode_of(path) == 0644);
  ::chmod(path.c_str(), 0600);
  simgr::io::replace_file(path, "");
  CHECK(read_bytes(path).empty());
  CHECK(mode_of(path) == 0600);
  const std::string large(1'000'000, 'l');
  simgr::io::replace_file(path, large, Keep::previous);
  CHECK(read_bytes(path) == large);
  CHECK(read_bytes(simgr::io::previous_path(path)).empty());
  CHECK(folder.entries() == 2);
}

TEST_CASE("without a commit the old file stays") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  write_bytes(path, "old");
  {
    auto file = AtomicFile<>::try_open(path);
    REQUIRE(file.ok());
    CHECK_FALSE(file->write("new"));
    CHECK(folder.entries() == 2);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.path() != path) {
        CHECK(mode_of(entry.path()) == 0600);
      }
    }
  }
  CHECK(read_bytes(path) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a spent file refuses more, and a name in the working folder is a path") {
  const TemporaryFolder folder;
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  auto file = AtomicFile<>::try_open("plain");
  REQUIRE(file.ok());
  CHECK_FALSE(file->write("a"));
  CHECK_FALSE(file->commit());
  CHECK(file->commit());
  CHECK(file->write(std::string(100'000, 'x')));
  CHECK(read_bytes("plain") == "a");
  std::filesystem::current_path(here);
}

TEST_CASE("devices, folders and folders that are not there are refused with the reason") {
  const TemporaryFolder folder;
  const auto said = [](const std::string& path) {
    const auto failure = simgr::io::try_replace_file(path, "x");
    REQUIRE(failure);
    CHECK(failure->kind() == simgr::ErrorKind::io);
    return std::string(failure->what());
  };
  CHECK(said("/dev/null") == "/dev/null: cannot be replaced: not a regular file");
  CHECK(said(folder.path().string()).find("not a regular file") != std::string::npos);
  CHECK(said(folder.file("none/x")) == folder.file("none") + ": open: No such file or directory");
  CHECK_FALSE(said("").empty());
  CHECK_FALSE(said(std::string("a\0b", 3)).empty());
  CHECK_FALSE(said("/proc/x").empty());
}

TEST_CASE("a symbolic link is followed, not replaced") {
  const TemporaryFolder folder, other;
  write_bytes(other.file("real"), "old");
  std::filesystem::create_symlink(other.file("real"), folder.path() / "link");
  simgr::io::replace_file(folder.file("link"), "new");
  CHECK(read_bytes(other.file("real")) == "new");
  CHECK(std::filesystem::is_symlink(folder.path() / "link"));
}

TEST_CASE("a link to a file that is not there makes that file; a circle of links is refused") {
  const TemporaryFolder folder, other;
  std::filesystem::create_symlink(other.file("later"), folder.path() / "absolute");
  std::filesystem::create_symlink("absolute", folder.path() / "relative");
  simgr::io::replace_file(folder.file("relative"), "new");
  CHECK(read_bytes(other.file("later")) == "new");
  CHECK(std::filesystem::is_symlink(folder.path() / "absolute"));
  CHECK(std::filesystem::is_symlink(folder.path() / "relative"));
  std::filesystem::create_symlink("circle", folder.path() / "circle");
  const auto failure = simgr::io::try_replace_file(folder.file("circle"), "x");
  REQUIRE(failure);
  CHECK(std::string(failure->what()) == folder.file("circle") + ": too many symbolic links");
  CHECK(std::filesystem::is_symlink(folder.path() / "circle"));
}

TEST_CASE("leftovers of dead writers go, files of others stay") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  write_bytes(path + ".tmp-1-0", "left by a dead process");
  write_bytes(path + ".tmp-4000000-7-previous", "left, too");
  const std::vector<std::string> others = {
      "x.tmp",      "x.tmp-",     "x.tmp-backup", "x.tmp-2024-05", "x.tmp-1",       "x.tmp-1-",
      "x.tmp-1-0~", "x.tmp-01-0", "x.tmp-1-1000", "x.tmp--1-0",    "x.tmp-1-0-old", "y.tmp-1-0"};
  for (const std::string& name : others) { write_bytes(folder.file(name), "own " + name); }
  simgr::io::replace_file(path, "new");
  CHECK(folder.entries() == others.size() + 1);
  for (const std::string& name : others) { CHECK(read_bytes(folder.file(name)) == "own " + name); }
}

TEST_CASE("a second writer of the same path gets a clear error, of another path none (R18)") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  auto first = AtomicFile<>::try_open(path);
  REQUIRE(first.ok());
  const auto second = simgr::io::try_replace_file(path, "rival");
  REQUIRE(second);
  CHECK(std::string(second->what()).find("another writer is saving this file now") !=
        std::string::npos);
  CHECK_FALSE(simgr::io::try_replace_file(folder.file("y"), "other"));
  CHECK_FALSE(first->write("first"));
  CHECK_FALSE(first->commit());
  CHECK(read_bytes(path) == "first");
  CHECK_FALSE(simgr::io::try_replace_file(path, "now"));
}

TEST_CASE("every call may fail: the error comes back and the old file stands (R14)") {
  const std::string old_text = "old content", older = "older content";
  const std::string new_text(180'000, 'n');
  int faults = 0;
  for (const Keep keep : {Keep::nothing, Keep::previous}) {
    for (const int error : {ENOSPC, EIO, EACCES, EINTR, 0}) {
      for (int at = 0;; ++at) {
        CAPTURE(at);
        CAPTURE(error);
        const TemporaryFolder folder;
        const std::string path = std::filesystem::canonical(folder.path()).string() + "/x";
        write_bytes(path, old_text);
        write_bytes(simgr::io::previous_path(path), older);
        const std::size_t handles = open_handles();
        Fault fault{.at = at, .error = error};
        const auto failure = save(path, new_text, keep, FaultyFiles{&fault, path});
        CHECK(open_handles() == handles);
        CHECK(folder.entries() == 2);  // no leftovers
        const std::string now = read_bytes(path);
        const std::string previous = read_bytes(simgr::io::previous_path(path));
        if (failure) {
          CHECK(failure->kind() == simgr::ErrorKind::io);
          CHECK(now == (fault.after_rename ? new_text : old_text));
          CHECK((previous == older || (keep == Keep::previous && previous == old_text)));
          CHECK(error != EINTR);
          CHECK(error != 0);
        } else {
          CHECK(now == new_text);
          CHECK(previous == (keep == Keep::previous ? old_text : older));
        }
        if (!fault.struck) {
          CHECK(at > 10);
          break;
        }
        ++faults;
      }
    }
  }
  std::printf("atomic_file: %d injected faults, 0 lost files\n", faults);
}

TEST_CASE("saving over a file that is mapped leaves the mapping as it was (R16)") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  const std::string old_text(10'000, 'o');
  write_bytes(path, old_text);
  const int handle = ::open(path.c_str(), O_RDONLY);
  void* mapped = ::mmap(nullptr, old_text.size(), PROT_READ, MAP_SHARED, handle, 0);
  REQUIRE(mapped != MAP_FAILED);
  simgr::io::replace_file(path, std::string(20'000, 'n'));
  CHECK(std::string_view(static_cast<const char*>(mapped), old_text.size()) == old_text);
  ::munmap(mapped, old_text.size());
  ::close(handle);
}
