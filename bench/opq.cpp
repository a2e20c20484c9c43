// SPDX-License-Identifier: Apache-2.0

// Product quantisation with a rotation (OPQ) of item vectors, one thread: bench/peers/kmeans_faiss.py
// does the same work. Prints one JSON line: median seconds of the rounds (wall and processor) and the
// mean squared distance to what the codes stand for.
//
//   bench_opq VECTORS.npy[.gz] [rounds] [digits] [codes] [rotations]

#include <cstdio>
#include <exception>

#include <bench/timing.hpp>

#include <simgr/data/npy.hpp>
#include <simgr/tokenizer/product_quantizer.hpp>

namespace {

using bench::argument;

void run(int argc, char** argv) {
  using namespace simgr::tokenizer;
  const auto vectors = simgr::data::read_npy(argv[1]);
  const int rounds = argument(argc, argv, 2, 1);
  const ProductQuantizerConfig config{.digits = argument(argc, argv, 3, 32),
                                      .codes = argument(argc, argv, 4, 256),
                                      .rotations = argument(argc, argv, 5, 50)};
  FittedProductQuantizer found;
  const auto taken =
      bench::median_of(rounds, [&] { found = fit_product_quantizer(vectors, config); });
  std::printf("{\"opq\": \"%td x %td of %td x %td, %td rotations\", \"seconds\": %.3f, "
              "\"processor_seconds\": %.3f, \"error\": %.6f}\n",
              config.digits, config.codes, vectors.rows, vectors.cols, config.rotations, taken.wall,
              taken.processor, found.error.back());
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
