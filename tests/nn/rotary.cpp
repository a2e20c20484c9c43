// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/rotary.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {
const std::vector<std::int32_t> positions{0, 1, 7, 3, 1000};
}

TEST_CASE("RotaryPosition gives the gradients of its forward pass") {
  const RotaryPosition::Config config{.head_width = 6, .angles = {.theta = 100}};
  simgr_test::check_gradients<RotaryPosition>(
      config, 5, 12,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return RotaryPosition::forward(config, p, x, std::span<const std::int32_t>(positions),
                                       cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        return RotaryPosition::backward(config, p, g, dy, cache, ctx);
      });
}

TEST_CASE("a product of turned heads depends on the distance of the positions alone") {
  Arena arena;
  cpu::Context ctx{arena};
  const RotaryPosition::Config config{.head_width = 8};
  const std::vector<double> q = simgr_test::random_values(8, 1),
                            k = simgr_test::random_values(8, 2);
  const auto product = [&](std::int32_t at_q, std::int32_t at_k) {
    RotaryPosition::Cache<double> cache;
    const auto turn = [&](const std::vector<double>& x, const std::int32_t& at) {
      return RotaryPosition::forward(config, RotaryPosition::Params<double>{},
                                     MatrixArg<double>(x.data(), {1, 8}),
                                     std::span<const std::int32_t>(&at, 1), cache, ctx);
    };
    const Matrix<double> a = turn(q, at_q), b = turn(k, at_k);
    double sum = 0;
    for (Index i = 0; i < 8; ++i) { sum += a(0, i) * b(0, i); }
    return sum;
  };
  CHECK(product(7, 3) == doctest::Approx(product(104, 100)).epsilon(1e-10));
  CHECK(std::abs(product(7, 3) - product(7, 4)) > 1e-3);
}
