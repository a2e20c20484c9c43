// SPDX-License-Identifier: Apache-2.0

// Neighbours of all items of a data set, one thread: collaborative ones of the training part, semantic
// ones of the texts' vectors, and lists filled along those. Prints one JSON line: median seconds of the
// rounds, wall and processor.
//
//   bench_relations sequences.tsv[.gz] VECTORS.npy[.gz] [rounds] [keep]

#include <cstdio>
#include <exception>

#include <bench/timing.hpp>

#include <simgr/data/npy.hpp>
#include <simgr/data/sequences.hpp>
#include <simgr/data/split.hpp>
#include <simgr/train/relations.hpp>

namespace {

using bench::argument, bench::median_of, bench::Seconds;

void run(int argc, char** argv) {
  const auto split = simgr::data::leave_one_out(simgr::data::read_sequences(argv[1]));
  const auto vectors = simgr::data::read_npy(argv[2], {.rows = split.items});
  const int rounds = argument(argc, argv, 3, 3), keep = argument(argc, argv, 4, 10);
  simgr::Ragged<simgr::ItemId> collaborative, semantic, filled;
  const Seconds counting = median_of(rounds, [&] {
    collaborative =
        simgr::train::collaborative_neighbours(split.train, split.items, {.keep = keep});
  });
  const Seconds search = median_of(
      rounds, [&] { semantic = simgr::train::semantic_neighbours(vectors.view(), keep); });
  const Seconds filling =
      median_of(rounds, [&] { filled = simgr::train::backfilled(collaborative, semantic, keep); });
  std::printf("{\"relations\": \"%d of each of %td items, vectors of %td\", "
              "\"collaborative_seconds\": %.3f, \"processor\": %.3f, "
              "\"semantic_seconds\": %.3f, \"semantic_processor\": %.3f, "
              "\"backfill_processor\": %.4f, \"listed\": [%td, %td, %td]}\n",
              keep, split.items, vectors.cols, counting.wall, counting.processor, search.wall,
              search.processor, filling.processor, collaborative.tokens(), semantic.tokens(),
              filled.tokens());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "bench_relations sequences.tsv[.gz] VECTORS.npy[.gz] [rounds] [keep]\n");
    return 2;
  }
  try {
    run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
