// SPDX-License-Identifier: Apache-2.0

// Product quantisation with a rotation (OPQ) of item vectors, one thread: bench/peers/kmeans_faiss.py
// does the same work. Prints one JSON line: median seconds of the rounds (wall and processor) and the
// mean squared distance to what the codes stand for.
//
//   bench_opq VECTORS.npy[.gz] [rounds] [digits] [codes] [rotations]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <vector>

#include <simgr/data/npy.hpp>
#include <simgr/tokenizer/product_quantizer.hpp>

namespace {

int argument(int argc, char** argv, int at, int otherwise) {
  return argc > at ? std::atoi(argv[at]) : otherwise;
}

void run(int argc, char** argv) {
  using namespace simgr::tokenizer;
  const auto vectors = simgr::data::read_npy(argv[1]);
  const int rounds = argument(argc, argv, 2, 1);
  const ProductQuantizerConfig config{.digits = argument(argc, argv, 3, 32),
                                      .codes = argument(argc, argv, 4, 256),
                                      .rotations = argument(argc, argv, 5, 50)};
  std::vector<double> wall, processor;
  FittedProductQuantizer found;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t ticks = std::clock();
    found = fit_product_quantizer(vectors, config);
    processor.push_back(static_cast<double>(std::clock() - ticks) / CLOCKS_PER_SEC);
    wall.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(wall.begin(), wall.end());
  std::sort(processor.begin(), processor.end());
  const auto middle = static_cast<std::size_t>(rounds / 2);
  std::printf("{\"opq\": \"%td x %td of %td x %td, %td rotations\", \"seconds\": %.3f, "
              "\"processor_seconds\": %.3f, \"error\": %.6f}\n",
              config.digits, config.codes, vectors.rows, vectors.cols, config.rotations,
              wall[middle], processor[middle], found.error.back());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "bench_opq VECTORS.npy[.gz] [rounds] [digits] [codes] [rotations]\n");
    return 2;
  }
  try {
    run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
