// SPDX-License-Identifier: Apache-2.0

// The softmax over the whole catalogue, value and gradient: 1,134 rows (a batch of 128 users of
// Beauty) by 12,101 items, width 64, one thread. Prints one JSON line for each way: GFLOP/s of its
// three products, exponentials included, and the share of the core's measured peak of fused
// multiply-adds.
//
//   bench_catalogue_softmax [rounds]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <bench/processor.hpp>

#include <simgr/core/product_scores.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/cpu/cpu.hpp>

using simgr::Index;

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  constexpr Index rows = 1134, items = 12101, width = 64;
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  simgr::Rng rng(1);
  const auto normal = [&](Index count, double deviation) {
    const auto matrix = ctx.take<float>(count, width);
    for (float& value : matrix) { value = static_cast<float>(deviation * rng.normal()); }
    return matrix;
  };
  const auto queries = normal(rows, 0.5), keys = normal(items, 0.2), dqueries = normal(rows, 0),
             dkeys = normal(items, 0);
  std::vector<simgr::ItemId> targets;
  for (Index row = 0; row < rows; ++row) {
    targets.push_back(static_cast<simgr::ItemId>(rng.below(items)));
  }
  const simgr::ProductScores<float> scores{queries, keys, dqueries, dkeys};
  const float weight = 1.0f / static_cast<float>(rows);
  const double ceiling = bench::peak();

  const auto report = [&](const char* way, auto&& once) {
    double best = 1e9;
    for (int round = 0; round < rounds; ++round) {
      const double start = bench::seconds();
      once();
      best = std::min(best, bench::seconds() - start);
    }
    const double speed = 6.0 * static_cast<double>(rows * items * width) / best * 1e-9;
    std::printf("{\"bench\": \"catalogue_softmax\", \"way\": \"%s\", \"gflops\": %.1f, \"peak\": "
                "%.1f, \"share\": %.2f}\n",
                way, speed, ceiling, speed / ceiling);
  };
  report("own kernels", [&] { scores.cross_entropy(ctx, targets, weight, 16 << 20); });
  if (simgr::cpu::has_tiles()) {
    ctx.matmul = simgr::MatMul::bf16;
    report("tiles of bfloat16", [&] { scores.cross_entropy(ctx, targets, weight, 16 << 20); });
    ctx.matmul = simgr::MatMul::fp32;
  }
  report("Eigen's products, tiles of 64 rows", [&] {
    simgr::Arena::Scope scope(arena);
    const auto tile = ctx.take<float>(64, items);
    for (Index first = 0; first < rows; first += 64) {
      const auto s = tile.slice(0, std::min<Index>(64, rows - first));
      scores.tile(ctx, first, s.rows(), s);
      for (Index r = 0; r < s.rows(); ++r) {
        cross_entropy_row<float>(ctx, s.row(r), targets[static_cast<std::size_t>(first + r)],
                                 weight);
      }
      scores.tile_backward(ctx, first, s.rows(), s);
    }
  });
  return 0;
}
