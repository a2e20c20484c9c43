// SPDX-License-Identifier: Apache-2.0

// Exact top-10 by inner product, one thread: bench/peers/topk_faiss_torch.py does the same work.
// Prints one JSON line for each shape: microseconds of processor time, median of the rounds, and
// the ceilings beside it.
//
//   bench_topk [rounds]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>  // clock_gettime
#include <random>
#include <vector>

#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/rank_products.hpp>
#include <simgr/ranker/exhaustive.hpp>

namespace {

using simgr::Index;

/// Processor time of this process: what neighbours on the machine take does not count.
double microseconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

template <class F>
double median_of(int rounds, F&& f) {
  f();
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const double start = microseconds();
    f();
    times.push_back(microseconds() - start);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// In memory from an arena, as a model holds its weights.
simgr::Matrix<const float> normal_values(simgr::Arena& arena, Index rows, Index width,
                                         unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const auto values = arena.take<float, 2>({rows, width});
  for (float& value : values) { value = normal(rng); }
  return values;
}

volatile float sink;

void measure(Index items, Index width, Index rows, int rounds) {
  simgr::Arena held(static_cast<std::size_t>((items + rows) * width) * sizeof(float) + 4096);
  const auto c = normal_values(held, items, width, 1), q = normal_values(held, rows, width, 2);
  const float* const candidates = c.data();
  constexpr Index k = 10;
  std::vector<simgr::ItemId> ids(static_cast<std::size_t>(rows * k));
  std::vector<float> scores(ids.size());
  std::vector<Index> found(static_cast<std::size_t>(rows));
  simgr::Arena arena;
  const double ranked = median_of(rounds, [&] {
    simgr::cpu::Context ctx{arena};
    simgr::ranker::rank_products(ctx, q, c, {}, {ids.data(), {rows, k}}, {scores.data(), {rows, k}},
                                 {found.data(), {rows}});
    arena.reset();
  });
  // Ceilings: reading the table once; one Eigen product of the same size, tile by tile.
  const double read = median_of(rounds, [&] {
    float lane[64] = {};
    for (Index i = 0; i + 64 <= items * width; i += 64) {
      for (Index l = 0; l < 64; ++l) { lane[l] += candidates[i + l]; }
    }
    for (Index l = 1; l < 64; ++l) { lane[0] += lane[l]; }
    sink = lane[0];
  });
  std::vector<float> tile(static_cast<std::size_t>(rows * 1024));
  const double product = median_of(rounds, [&] {
    simgr::cpu::Context ctx{arena};
    for (Index i = 0; i < items; i += 1024) {
      const Index count = std::min<Index>(1024, items - i);
      simgr::cpu::gemm_nt(ctx, q, c.slice(i, count),
                          simgr::Matrix<float>(tile.data(), {rows, count}), simgr::Write::assign);
    }
  });
  const double work = 2.0 * static_cast<double>(items) * static_cast<double>(width * rows);
  std::printf("{\"library\":\"simgr\",\"items\":%td,\"width\":%td,\"users\":%td,\"us\":%.1f,"
              "\"gflops\":%.1f,\"read_table_us\":%.1f,\"eigen_product_us\":%.1f,\"first\":%d}\n",
              items, width, rows, ranked, work / ranked * 1e-3, read, product, ids[0]);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 9;
  measure(12101, 64, 256, rounds * 3);
  measure(12101, 64, 1, rounds * 50);
  measure(12101, 384, 256, rounds);
  measure(1000000, 64, 256, 1);
  measure(1000000, 64, 1, rounds);
}
