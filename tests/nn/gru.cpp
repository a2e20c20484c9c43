// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/gru.hpp>

#include <support/golden_compare.hpp>
#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

template <class Reset>
void check_gru(bool biased) {
  const std::vector<Index> offsets{0, 2, 3, 3, 7};
  const typename Gru<Reset>::Config config{.in = 3, .hidden = 4, .biased = biased};
  const std::vector<double> first = simgr_test::random_values(4 * 4, 8);
  for (const bool given : {false, true}) {
    const Matrix<const double> h(given ? first.data() : nullptr, {given ? 4 : 0, 4});
    simgr_test::check_gradients<Gru<Reset>>(
        config, 7, 3,
        [&](const auto& p, auto x, auto& cache, auto& ctx) {
          return Gru<Reset>::forward(config, p, x, h, offsets, cache, ctx);
        },
        [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
          return Gru<Reset>::backward(config, p, g, dy, {}, cache, ctx);
        });
  }
}

}  // namespace

TEST_CASE("gated recurrent units give the gradient of every weight") {
  check_gru<ResetAfter>(true);
  check_gru<ResetAfter>(false);
  check_gru<ResetBefore>(true);
}

TEST_CASE("a step order lists each token once, and longer sequences first") {
  const std::vector<Index> offsets{0, 2, 3, 3, 7};
  simgr_test::Bench bench;
  const StepOrder order = StepOrder::of<Host>(offsets, bench.ctx);
  CHECK(std::vector<std::int32_t>(order.tokens.begin(), order.tokens.end()) ==
        std::vector<std::int32_t>{3, 0, 2, 4, 1, 5, 6});
  CHECK(std::vector<std::int32_t>(order.sequences.begin(), order.sequences.end()) ==
        std::vector<std::int32_t>{3, 0, 1, 2});
  CHECK(std::vector<Index>(order.steps.begin(), order.steps.end()) ==
        std::vector<Index>{0, 3, 5, 6, 7});
}
