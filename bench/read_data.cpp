// SPDX-License-Identifier: Apache-2.0
// Reading data: seconds, MB/s and peak memory of one reader on one file, as one JSON line.
//
//   read_data sequences FILE | table FILE | zlib FILE | inflate FILE [repeats]
//   read_data make-table FILE ROWS        writes user,item,timestamp rows to read
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <zlib.h>

#include <simgr/core/rng.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/sequences.hpp>
#include <simgr/data/tables.hpp>

namespace {

/// Bytes of the file as zlib reads them, in large blocks: the floor for `.gz`.
long read_by_zlib(const std::string& path, std::vector<char>& block) {
  const gzFile file = gzopen(path.c_str(), "rb");
  gzbuffer(file, static_cast<unsigned>(block.size()));
  long bytes = 0;
  for (int count = 1; count > 0; bytes += count) {
    count = gzread(file, block.data(), static_cast<unsigned>(block.size()));
  }
  gzclose(file);
  return bytes;
}

/// The same without the file: its packed bytes are in memory.
long inflate_only(const std::string& packed, std::vector<char>& block) {
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  int code = Z_OK;
  while (code == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    code = inflate(&stream, Z_NO_FLUSH);
  }
  const long bytes = static_cast<long>(stream.total_out);
  inflateEnd(&stream);
  return bytes;
}

int make_table(const char* path, long rows) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr) {
    return 1;
  }
  simgr::Rng rng(1);
  std::fputs("user,item,timestamp\n", file);
  for (long i = 0; i < rows; ++i) {
    const double skew = rng.uniform();
    std::fprintf(file, "%ld,%ld,%ld\n", static_cast<long>(rng.below(1000000)),
                 static_cast<long>(skew * skew * 200000),
                 1300000000 + static_cast<long>(rng.below(200000000)));
  }
  return std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr,
                 "usage: read_data sequences|table|zlib|inflate|make-table FILE [number]\n");
    return 2;
  }
  const std::string task = argv[1], path = argv[2];
  const long number = argc > 3 ? std::atol(argv[3]) : 9;
  if (task == "make-table") {
    return make_table(argv[2], number);
  }
  std::string packed;
  std::vector<char> block(std::size_t{1} << 17);
  if (task == "inflate") {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
      std::perror(path.c_str());
      return 1;
    }
    packed.resize(std::filesystem::file_size(path));
    packed.resize(std::fread(packed.data(), 1, packed.size(), file));
    std::fclose(file);
  }
  std::vector<double> seconds, processor;  // the second does not count what others take
  long count = 0;
  for (long i = 0; i < number; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t processor_start = std::clock();
    if (task == "sequences") {
      count = simgr::data::read_sequences(path).histories.tokens();
    } else if (task == "table") {
      count = simgr::data::read_table(path).histories.tokens();
    } else if (task == "zlib") {
      count = read_by_zlib(path, block);
    } else {
      count = inflate_only(packed, block);
    }
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    processor.push_back(static_cast<double>(std::clock() - processor_start) / CLOCKS_PER_SEC);
  }
  std::sort(processor.begin(), processor.end());
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double megabytes = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("{\"reader\": \"simgr %s\", \"count\": %ld, \"seconds\": %.5f, \"best\": %.5f, "
              "\"cpu\": %.5f, "
              "\"MB_per_s\": %.0f, \"peak_MB\": %.0f}\n",
              task.c_str(), count, median, seconds.front(), processor[processor.size() / 2],
              megabytes / median, static_cast<double>(usage.ru_maxrss) / 1024);
}
