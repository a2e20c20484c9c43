// SPDX-License-Identifier: Apache-2.0
// How long a checkpoint takes to load and how much memory that needs, against reading its files.
//
//   python bench/make_checkpoint.py FOLDER;  bench_load_checkpoint FOLDER [ROUNDS]      (no FILE: nothing to load)
//
// Every measurement is a process of its own; the median of its rounds is printed, once with the files in the
// page cache and once after they were dropped from it. Loaded is: opened, checked against the model tensor by
// tensor, every number looked at, and ready to serve: with the matrices in the files (mapped, or read whole) or in a
// block of ours, as they are (copied) or as floats.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <bench/published_model.hpp>
#include <bench/timing.hpp>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <simgr/io/mapped_weights.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/model_layout.hpp>

namespace {

using namespace simgr;

struct Measured {
  double seconds = 0, peak = 0;  // peak in bytes, beyond what the process had before
};

double status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with(name + ":")) {
      return 1024 * std::stod(line.substr(name.size() + 1));
    }
  }
  return 0;
}

/// Runs `work` in a process of its own.
Measured run_apart(const std::function<void()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) {
    return {};
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const double before = status_bytes("VmRSS");
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    const Measured measured{taken.count(), status_bytes("VmHWM") - before};
    ::_exit(::write(ends[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
  }
  Measured measured;
  const bool whole = ::read(ends[0], &measured, sizeof measured) == sizeof measured;
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  return whole ? measured : Measured{};
}

void drop_from_cache(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const int handle = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(handle, 0, 0, POSIX_FADV_DONTNEED);
    ::close(handle);
  }
}

/// Into one buffer again and again: no memory of their size is needed.
void read_blocks(const std::vector<std::string>& files) {
  std::vector<std::byte> block(std::size_t{1} << 20);
  for (const std::string& name : files) {
    auto file = io::InputFile::try_open(name).value_or_raise();
    for (Index left = file.size(); left > 0;) {
      const Index bytes = std::min(left, static_cast<Index>(block.size()));
      if (Failure failure = file.read(block.data(), bytes)) {
        raise(*failure);
      }
      left -= bytes;
    }
  }
}

/// A model that serves from its files.
void serve(const std::string& path, io::Residence residence) {
  using Model = bench::PublishedModel<>;
  auto folder = io::ModelFolder::open(path, residence);
  const auto facts = io::read_model_config(folder.beside("config.json"));
  const auto config = bench::config_of<Model>(facts);
  (void)io::try_map_weights<Model>(std::move(folder), facts, config).value_or_raise();
}

/// Weights in a block of ours.
void load(const std::string& path, const io::LanguageModelFacts& facts,
          const ParameterTable& table) {
  const std::unique_ptr<float[]> block(new float[static_cast<std::size_t>(table.block_size)]);
  io::load_parameters(io::ModelFolder::open(path), facts, table,
                      std::span(block.get(), static_cast<std::size_t>(table.block_size)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::puts("usage: bench_load_checkpoint FOLDER [ROUNDS]");
    return 2;
  }
  const std::string path = argv[1];
  const int rounds = bench::argument(argc, argv, 2, 5);
  std::vector<std::string> files;
  double bytes = 0;
  {
    const auto folder = io::ModelFolder::open(path);
    for (const io::Safetensors& file : folder.files()) {
      files.push_back(file.file());
      for (const io::TensorView& tensor : file.tensors()) {
        bytes += static_cast<double>(tensor.bytes.size());
      }
    }
  }
  std::printf("%zu files, %.0f MB\n", files.size(), bytes / 1e6);
  const auto facts = io::read_model_config(io::ModelFolder::open(path).beside("config.json"));
  const auto narrow =
      describe<bench::PublishedModel<>>(bench::config_of<bench::PublishedModel<>>(facts));
  const std::pair<const char*, std::function<void()>> ways[] = {
      {"read", [&] { read_blocks(files); }},
      {"mapped", [&] { serve(path, io::Residence::mapped); }},
      {"read whole", [&] { serve(path, io::Residence::copied); }},
      {"copied", [&] { load(path, facts, narrow); }},
      {"widened to float", [&] { load(path, facts, io::model_layout(facts)); }},
  };
  for (const bool cold : {false, true}) {
    double reading = 0;
    for (const auto& [name, work] : ways) {
      std::vector<double> seconds;
      double peak = 0;
      for (int round = 0; round < rounds; ++round) {
        if (cold) {
          drop_from_cache(files);
        }
        const Measured measured = run_apart(work);
        seconds.push_back(measured.seconds);
        peak = std::max(peak, measured.peak);
      }
      std::sort(seconds.begin(), seconds.end());
      const double median = seconds[seconds.size() / 2];
      reading = reading == 0 ? median : reading;
      std::printf("%s  %-16s %6.3f s  %5.2f of reading  peak %5.2f of the size\n",
                  cold ? "dropped" : "cached ", name, median, median / reading, peak / bytes);
    }
  }
  return 0;
}
