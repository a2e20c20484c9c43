// SPDX-License-Identifier: Apache-2.0

// History of 20 items -> top-10 of 12,101 in one call, SASRec of width 64, 2 layers, 2 heads,
// feed-forward 256: encoder, scores and selection. Prints one JSON line: p50 and p99 in
// microseconds of wall time, the first answer of this process in milliseconds (reading the model
// file included), and the resident megabytes.
//
//   bench_recommend [calls]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <unistd.h>

#include <simgr/baselines/sasrec.hpp>
#include <simgr/io/model_file.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Model = simgr::baselines::SasRec;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double resident_megabytes() {
  long pages = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) {
      resident = 0;
    }
    std::fclose(file);
  }
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = "bench_recommend.simgr";
  // The child: a fresh process that reads the model, answers once and then measures.
  if (argc == 3) {
    const Clock::time_point start = Clock::now();
    const Model model = Model::load(path);
    std::vector<simgr::ItemId> history(20);
    std::vector<simgr::Recommended> list(10);
    const auto answer = [&](int call) {
      for (std::size_t i = 0; i < history.size(); ++i) {
        history[i] =
            static_cast<simgr::ItemId>((static_cast<std::size_t>(call) * 131 + i * 577) % 12101);
      }
      return model.recommend(history, {}, list);
    };
    answer(0);
    const double first = microseconds_since(start) / 1000;
    std::vector<double> times;
    for (int call = 1; call <= std::max(100, std::atoi(argv[1])); ++call) {
      const Clock::time_point begin = Clock::now();
      answer(call);
      times.push_back(microseconds_since(begin));
    }
    std::sort(times.begin(), times.end());
    std::printf("{\"bench\": \"recommend\", \"p50_us\": %.1f, \"p99_us\": %.1f, \"first_ms\": "
                "%.2f, \"resident_mb\": %.1f}\n",
                times[times.size() / 2], times[times.size() * 99 / 100], first,
                resident_megabytes());
    return 0;
  }
  Model({.items = 12101}, {.encoder = {.width = 64, .layers = 2, .heads = 2, .inner = 256}})
      .save(path);
  const std::string command = std::string(argv[0]) + " " + (argc > 1 ? argv[1] : "2000") + " child";
  const int status = std::system(command.c_str());
  std::remove(path.c_str());
  return status == 0 ? 0 : 1;
}
