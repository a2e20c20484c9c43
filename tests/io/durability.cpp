// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/checkpoint.hpp>

#include <chrono>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <support/temporary_folder.hpp>

namespace {

using simgr::io::Checkpoint;
using simgr::io::CheckpointWriter;
using simgr::io::Keep;
using simgr_test::TemporaryFolder;

/// Version `version` of a checkpoint: a text and a tensor that follow from the number.
template <class Files = simgr::io::PosixFiles>
simgr::Failure save_version(const std::string& path, int version, Keep keep, Files files = {},
                            std::size_t size = 30'000) {
  std::vector<std::int32_t> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    values[i] = static_cast<std::int32_t>(i * 31) + version;
  }
  CheckpointWriter writer;
  writer.set("version", std::to_string(version));
  writer.add("values", {static_cast<simgr::Index>(size)}, std::span<const std::int32_t>(values));
  return writer.try_write(path, keep, files);
}

/// The version of a whole checkpoint; -1 where it is torn.
int whole_version(const Checkpoint& checkpoint) {
  const int version = std::stoi(checkpoint.text("version"));
  const auto values = checkpoint.read<std::int32_t>("values");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != static_cast<std::int32_t>(i * 31) + version) {
      return -1;
    }
  }
  return values.empty() ? -1 : version;
}

/// What one call changed, for replaying a part of it.
struct Step {
  enum class Kind { create, write, sync, rename, link, unlink, sync_folder };
  Kind kind;
  std::string name, to;
  int file = -1;  // which content: create, write, sync
  std::string bytes{};
};

struct Record {
  std::vector<Step> steps;
  std::map<int, int> file_of_handle;
  std::map<int, std::string> folder_handles;
  int files = 0;
};

/// The real calls, written down.
struct RecordedFiles {
  Record* record;
  bool with_sync = true;

  static std::string name_of(const char* path) {
    return std::filesystem::path(path).filename().string();
  }
  int open(const char* path, int flags, mode_t mode) {
    const int handle = ::open(path, flags, mode);
    if (handle >= 0 && (flags & O_CREAT) != 0) {
      record->file_of_handle[handle] = record->files;
      record->steps.push_back({Step::Kind::create, name_of(path), "", record->files++});
    } else if (handle >= 0 && (flags & O_DIRECTORY) != 0) {
      record->folder_handles[handle] = path;
    }
    return handle;
  }
  int flock(int handle, int operation) { return ::flock(handle, operation); }
  ssize_t write(int handle, const void* data, std::size_t bytes) {
    record->steps.push_back({Step::Kind::write, "", "", record->file_of_handle.at(handle),
                             std::string(static_cast<const char*>(data), bytes)});
    return ::write(handle, data, bytes);
  }
  int fchmod(int handle, mode_t mode) { return ::fchmod(handle, mode); }
  int fsync(int handle) {
    const auto file = record->file_of_handle.find(handle);
    if (!with_sync) {
      return 0;
    }
    if (file != record->file_of_handle.end()) {
      record->steps.push_back({Step::Kind::sync, "", "", file->second});
    } else {
      REQUIRE(record->folder_handles.contains(handle));
      record->steps.push_back({Step::Kind::sync_folder, "", ""});
    }
    return 0;
  }
  int duplicate(int handle) { return ::fcntl(handle, F_DUPFD_CLOEXEC, 0); }
  int close(int handle) {
    record->file_of_handle.erase(handle);
    record->folder_handles.erase(handle);
    return ::close(handle);
  }
  int link(const char* from, const char* to) {
    const int result = ::link(from, to);
    if (result == 0) {
      record->steps.push_back({Step::Kind::link, name_of(from), name_of(to)});
    }
    return result;
  }
  int rename(const char* from, const char* to) {
    record->steps.push_back({Step::Kind::rename, name_of(from), name_of(to)});
    return ::rename(from, to);
  }
  int unlink(const char* path) {
    const int result = ::unlink(path);
    if (result == 0) {
      record->steps.push_back({Step::Kind::unlink, name_of(path), ""});
    }
    return result;
  }
};

using Folder = std::map<std::string, int>;  // name -> content

void replay_step(const Step& step, Folder& folder) {
  const auto from = folder.find(step.name);
  if (step.kind == Step::Kind::create) {
    folder[step.name] = step.file;
  } else if (from == folder.end()) {
    return;  // the step it builds on was lost
  } else if (step.kind == Step::Kind::link) {
    folder.emplace(step.to, from->second);
  } else if (step.kind == Step::Kind::rename) {
    const int content = from->second;
    const auto target = folder.find(step.to);
    if (target == folder.end() || target->second != content) {  // else POSIX does nothing
      folder.erase(from);
      folder[step.to] = content;
    }
  } else if (step.kind == Step::Kind::unlink) {
    folder.erase(from);
  }
}

/// What may be on disk of a file whose writes were not synced: nothing, all, a front part, the full
/// length as zeros, or every other write lost.
std::string survivor(const std::vector<std::string>& synced,
                     const std::vector<std::string>& unsynced, int variant) {
  std::string bytes;
  for (const std::string& part : synced) { bytes += part; }
  for (std::size_t i = 0; i < unsynced.size(); ++i) {
    const std::string& part = unsynced[i];
    switch (variant) {
    case 0:
      break;
    case 1:
      bytes += part;
      break;
    case 2:
      bytes += i + 1 < unsynced.size() ? part : part.substr(0, part.size() / 2);
      break;
    case 3:
      bytes += std::string(part.size(), '\0');
      break;
    default:
      bytes += i % 2 == 0 ? std::string(part.size(), '\0') : part;
      break;
    }
  }
  return bytes;
}

/// Saves a few versions, then loads what every prefix of the calls, and every part of what was not
/// yet synced, may leave on disk. Returns the states without a good checkpoint.
int bad_states(Keep keep, bool with_sync, int& states) {
  constexpr int saves = 6;  // the later ones have a file and a previous one to replace
  int bad = 0;
  const TemporaryFolder real, replay;
  const std::string path = real.file("x"), crashed = replay.file("x");
  Record record;
  std::vector<std::size_t> done;  // steps when each save was complete
  for (int version = 1; version <= saves; ++version) {
    REQUIRE_FALSE(save_version(path, version, keep, RecordedFiles{&record, with_sync}, 40'000));
    done.push_back(record.steps.size());
  }
  for (std::size_t prefix = 0; prefix <= record.steps.size(); ++prefix) {
    Folder durable;
    std::vector<Step> pending;
    std::map<int, std::vector<std::string>> synced, unsynced;
    for (std::size_t i = 0; i < prefix; ++i) {
      const Step& step = record.steps[i];
      if (step.kind == Step::Kind::write) {
        unsynced[step.file].push_back(step.bytes);
      } else if (step.kind == Step::Kind::sync) {
        for (std::string& part : unsynced[step.file]) {
          synced[step.file].push_back(std::move(part));
        }
        unsynced[step.file].clear();
      } else if (step.kind == Step::Kind::sync_folder) {
        for (const Step& change : pending) { replay_step(change, durable); }
        pending.clear();
      } else {
        pending.push_back(step);
      }
    }
    int promised = 0;  // the newest version whose save had returned
    while (promised < saves && done[static_cast<std::size_t>(promised)] <= prefix) { ++promised; }
    if (with_sync) {
      REQUIRE(pending.size() < 8);
    } else if (pending.size() > 4) {
      return bad;
    }
    for (unsigned subset = 0; subset < 1u << pending.size(); ++subset) {
      Folder folder = durable;
      for (std::size_t i = 0; i < pending.size(); ++i) {
        if ((subset >> i & 1u) != 0) {
          replay_step(pending[i], folder);
        }
      }
      for (int variant = 0; variant < 5; ++variant) {
        for (const auto& entry : std::filesystem::directory_iterator(replay.path())) {
          std::filesystem::remove(entry.path());
        }
        for (const auto& [name, content] : folder) {
          simgr_test::write_bytes(replay.file(name),
                                  survivor(synced[content], unsynced[content], variant));
        }
        ++states;
        const auto loaded = keep == Keep::previous ? Checkpoint::try_read_newest(crashed)
                                                   : Checkpoint::try_read(crashed);
        const int version = loaded.ok() ? whole_version(loaded.value()) : 0;
        bad += version < promised ? 1 : 0;
        // The next save works whatever was left, and tidies up.
        if (subset == 0 && variant == 1) {
          CHECK_FALSE(save_version(crashed, 9, keep, {}, 10));
          CHECK(replay.entries() <= 2);
        }
      }
    }
  }
  return bad;
}

}  // namespace

TEST_CASE("after a power failure at any moment the old or the new checkpoint loads (R15)") {
  int states = 0;
  CHECK(bad_states(Keep::nothing, true, states) == 0);
  CHECK(bad_states(Keep::previous, true, states) == 0);
  CHECK(states >= 1000);
  std::printf("checkpoint: %d crash states, 0 bad\n", states);
  CHECK(bad_states(Keep::nothing, false, states) > 0);  // the replay sees a forgotten fsync
}

TEST_CASE("killing the saving process at 200 random moments loses nothing (R13)") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  std::mt19937 random(11);
  int kills = 0, torn = 0, lost = 0, promised = 0, last = 0;
  REQUIRE_FALSE(save_version(path, 0, Keep::previous));
  for (; kills < 200; ++kills) {
    int report[2];
    REQUIRE(::pipe(report) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(report[0]);
      for (int version = last + 1;; ++version) {
        if (save_version(path, version, Keep::previous)) {
          ::_exit(1);
        }
        if (::write(report[1], &version, sizeof version) != sizeof version) {
          ::_exit(2);
        }
      }
    }
    ::close(report[1]);
    int version = 0;
    if (::read(report[0], &version, sizeof version) == sizeof version) {  // the child is at work
      ::usleep(static_cast<unsigned>(random() % 12'000));
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    do {
      promised = std::max(promised, version);
    } while (::read(report[0], &version, sizeof version) == sizeof version);
    ::close(report[0]);

    const auto loaded = Checkpoint::try_read(path);
    const int found = loaded.ok() ? whole_version(loaded.value()) : -1;
    torn += found < 0 ? 1 : 0;
    lost += found >= 0 && found < promised ? 1 : 0;
    last = std::max(last, found);
    CHECK(Checkpoint::try_read(simgr::io::previous_path(path)).ok());
  }
  CHECK(torn == 0);
  CHECK(lost == 0);
  REQUIRE_FALSE(save_version(path, last + 1, Keep::nothing));
  CHECK(folder.entries() == 2);  // what the dead left is gone
  std::printf("checkpoint: %d kills during %d saves, %d torn, %d lost\n", kills, last, torn, lost);
}

TEST_CASE("two processes that save one file never mix their content (R18)") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  int turned_away = 0, none = 0;
  for (int round = 1; round <= 200; ++round) {
    int start[2];
    REQUIRE(::pipe(start) == 0);
    pid_t children[2];
    for (int i = 0; i < 2; ++i) {
      children[i] = ::fork();
      if (children[i] == 0) {
        ::close(start[1]);
        char go;
        [[maybe_unused]] const auto got = ::read(start[0], &go, 1);  // ends when both are there
        const auto failure = save_version(path, 2 * round + i, Keep::nothing);
        const bool polite =
            failure && std::string(failure->what()).find("another writer") != std::string::npos;
        ::_exit(!failure ? 0 : polite ? 1 : 2);
      }
    }
    ::close(start[0]);
    ::close(start[1]);
    int saved = 0;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      REQUIRE(WIFEXITED(status));
      CHECK(WEXITSTATUS(status) <= 1);
      saved += WEXITSTATUS(status) == 0 ? 1 : 0;
    }
    turned_away += 2 - saved;
    none += saved == 0 ? 1 : 0;
    const int version = whole_version(Checkpoint::read(path));
    CHECK((version == 2 * round || version == 2 * round + 1));
  }
  CHECK(none == 0);
  CHECK(folder.entries() == 1);
  std::printf("checkpoint: 200 rounds of two writers, %d turned away\n", turned_away);
}

TEST_CASE(
    "a checkpoint that changes or shrinks while it is read gives an error or whole content (R12)") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  REQUIRE_FALSE(save_version(path, 1, Keep::nothing));
  const std::string one = simgr_test::read_bytes(path);
  REQUIRE_FALSE(save_version(path, 2, Keep::nothing));
  const std::string two = simgr_test::read_bytes(path);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int handle = ::open(path.c_str(), O_WRONLY);
    for (unsigned turn = 0;; ++turn) {  // in place: what our own writer never does
      const std::string& bytes = turn % 2 == 0 ? one : two;
      const auto half = static_cast<off_t>(bytes.size() / 2);
      if (::ftruncate(handle, turn % 3 == 0 ? half : static_cast<off_t>(bytes.size())) != 0 ||
          ::pwrite(handle, bytes.data(), bytes.size(), 0) < 0) {
        ::_exit(1);
      }
    }
  }
  int whole = 0, refused = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (std::chrono::steady_clock::now() < end) {
    const auto loaded = Checkpoint::try_read(path);
    if (loaded.ok()) {
      CHECK(whole_version(loaded.value()) > 0);
      ++whole;
    } else {
      ++refused;
    }
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(whole + refused > 0);
  std::printf("checkpoint: read while it changed: %d whole, %d refused, 0 mixed\n", whole, refused);
}
