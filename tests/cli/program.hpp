// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <support/temporary_folder.hpp>

namespace simgr_test {

/// The command line tool, which the build puts beside the tests: build/examples/simgr.
inline std::string simgr_program() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() /
          "examples/simgr")
      .string();
}

/// What a run of the program left behind.
struct Run {
  int code = -1;
  std::string out, err;
};

/// A process of the program that was started and may be killed.
class Process {
public:
  /// @param out  where standard output goes; empty: a file in the folder
  Process(const TemporaryFolder& folder, std::vector<std::string> arguments,
          const std::string& out = {})
      : out_(out.empty() ? folder.file("stdout") : out), err_(folder.file("stderr")) {
    arguments.insert(arguments.begin(), simgr_program());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) { pointers.push_back(argument.data()); }
    pointers.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC;
      ::dup2(::open(out_.c_str(), flags, 0600), 1);
      ::dup2(::open(err_.c_str(), flags, 0600), 2);
      ::execv(pointers[0], pointers.data());
      ::_exit(127);
    }
  }
  void kill() const { ::kill(child_, SIGKILL); }
  Run wait() const {
    int status = 0;
    ::waitpid(child_, &status, 0);
    const bool file = std::filesystem::is_regular_file(out_);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
            file ? read_bytes(out_) : std::string(), read_bytes(err_)};
  }

private:
  std::string out_, err_;
  ::pid_t child_ = -1;
};

inline Run run_simgr(const TemporaryFolder& folder, std::vector<std::string> arguments) {
  return Process(folder, std::move(arguments)).wait();
}

/// A folder of 60 users and 30 items with titles, whose histories follow a rule.
inline void write_data_folder(const std::string& path) {
  std::filesystem::create_directories(path);
  std::string sequences = "user\titems\n", items;
  for (int user = 0; user < 60; ++user) {
    sequences += std::to_string(user) + "\t";
    for (int i = 0; i < 4 + user % 4; ++i) {
      sequences += (i > 0 ? " " : "") + std::to_string((user * 7 + i * 3) % 30);
    }
    sequences += "\n";
  }
  const char* kinds[] = {"red soap", "green soap", "blue brush", "white brush", "black mirror"};
  for (int item = 0; item < 30; ++item) {
    items += "{\"id\":" + std::to_string(item) + ",\"asin\":\"K" + std::to_string(item) +
             "\",\"title\":\"" + kinds[item % 5] + " number " + std::to_string(item) + "\"}\n";
  }
  write_bytes(path + "/sequences.tsv", sequences);
  write_bytes(path + "/items.jsonl", items);
}

}  // namespace simgr_test
