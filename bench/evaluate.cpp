// SPDX-License-Identifier: Apache-2.0

// Evaluation of all users of Beauty's shape on the full catalogue, every metric, one thread, beside
// the bare score product of the same shape. Prints one JSON line: processor time, best of the
// rounds.
//
//   bench_evaluate [rounds]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>  // clock_gettime
#include <limits>
#include <random>
#include <vector>

#include <simgr/cpu/gemm.hpp>
#include <simgr/eval/evaluator.hpp>

namespace {

using simgr::Index;

double seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

template <class F>
void keep_best(double& best, F&& f) {
  const double start = seconds();
  f();
  best = std::min(best, seconds() - start);
}

std::vector<float> normal_values(Index count, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) { value = normal(rng); }
  return values;
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 3;
  constexpr Index users = 22363, items = 12101, width = 64;
  const auto q = normal_values(users * width, 1), c = normal_values(items * width, 2);
  const simgr::Matrix<const float> queries(q.data(), {users, width});
  const simgr::Matrix<const float> candidates(c.data(), {items, width});
  std::mt19937 rng(3);
  simgr::data::Evaluation evaluation;
  std::vector<Index> popularity(items);
  for (Index u = 0; u < users; ++u) {
    std::vector<simgr::ItemId> history(3 + rng() % 12);
    for (auto& item : history) { item = static_cast<simgr::ItemId>(rng() % items); }
    evaluation.histories.push_back(history);
    evaluation.targets.push_back(static_cast<simgr::ItemId>(rng() % items));
  }
  for (Index& p : popularity) { p = static_cast<Index>(rng() % 100); }

  const double none = std::numeric_limits<double>::infinity();
  double product = none, scored = none, fused = none;
  volatile double sink = 0;
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  const auto score = [&](Index first, Index rows, simgr::Matrix<float> out) {
    simgr::cpu::gemm_nt(ctx, queries.slice(first, rows), candidates, out, simgr::Write::assign);
  };
  std::vector<float> tile(static_cast<std::size_t>(64 * items));
  for (int round = 0; round < rounds; ++round) {
    keep_best(product, [&] {
      for (Index u = 0; u < users; u += 64) {
        const Index rows = std::min<Index>(64, users - u);
        score(u, rows, {tile.data(), {rows, items}});
      }
    });
    keep_best(fused, [&] {
      sink = simgr::eval::evaluate(evaluation, popularity, {}, queries, candidates).mrr;
    });
    keep_best(scored,
              [&] { sink = simgr::eval::evaluate(evaluation, items, popularity, {}, score).mrr; });
  }
  const double work = 2e-9 * static_cast<double>(users) * static_cast<double>(items * width);
  std::printf("{\"users\":%td,\"items\":%td,\"width\":%td,\"bare_product_s\":%.3f,"
              "\"evaluate_products_s\":%.3f,\"evaluate_scores_s\":%.3f,\"ratio_products\":%.2f,"
              "\"ratio_scores\":%.2f,\"product_gflops\":%.1f}\n",
              users, items, width, product, fused, scored, fused / product, scored / product,
              work / product);
}
