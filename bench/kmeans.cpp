// SPDX-License-Identifier: Apache-2.0

// Residual k-means of item vectors, one thread: bench/peers/kmeans_faiss.py does the same work.
// Prints one JSON line: median seconds of the rounds (wall and processor), the mean squared residual
// of every level, and beside it the ceiling, the bare products of the same assignments.
//
//   bench_kmeans VECTORS.npy[.gz] [rounds] [levels] [codes] [iterations]

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <bench/timing.hpp>

#include <simgr/data/npy.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

namespace {

using simgr::Index;
using namespace simgr::tokenizer;

using bench::argument, bench::median_of, bench::Seconds;

void run(int argc, char** argv) {
  const auto vectors = simgr::data::read_npy(argv[1]);
  const int rounds = argument(argc, argv, 2, 3), levels = argument(argc, argv, 3, 4),
            codes = argument(argc, argv, 4, 256), iterations = argument(argc, argv, 5, 20);
  ResidualKMeans found;
  const Seconds ours = median_of(rounds, [&] {
    found =
        fit_residual_kmeans(vectors, {.levels = levels, .codes = codes, .iterations = iterations});
  });
  // Every level assigns iterations + 1 times.
  simgr::Arena arena;
  simgr::cpu::Context ctx{.arena = arena};
  simgr::OwnedMatrix<float> products(codes, RowTiles::tile);
  const auto& centroids = found.quantizer.codebooks[0];
  const Seconds bare = median_of(rounds, [&] {
    for (int pass = 0; pass < levels * (iterations + 1); ++pass) {
      for (Index first = 0; first + RowTiles::tile <= vectors.rows; first += RowTiles::tile) {
        simgr::cpu::gemm_nt<float>(ctx, centroids, vectors.view().slice(first, RowTiles::tile),
                                   products.view(), simgr::Write::assign);
      }
    }
  });
  std::string errors;
  for (const double error : found.error) {
    errors += (errors.empty() ? "" : ", ") + std::to_string(error);
  }
  std::printf("{\"residual_kmeans\": \"%d x %d of %td x %td, %d iterations\", \"seconds\": %.3f, "
              "\"processor_seconds\": %.3f, \"errors\": [%s], \"bare_products_seconds\": %.3f, "
              "\"share_of_ceiling\": %.3f}\n",
              levels, codes, vectors.rows, vectors.cols, iterations, ours.wall, ours.processor,
              errors.c_str(), bare.wall, bare.processor / ours.processor);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "bench_kmeans VECTORS.npy[.gz] [rounds] [levels] [codes] [iterations]\n");
    return 2;
  }
  try {
    run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
