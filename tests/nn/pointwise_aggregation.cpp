// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/pointwise_aggregation.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

const std::vector<Index> walks_of_three{0, 4, 5, 8};

PointwiseAggregation::Config two_heads() {
  return {
      .width = 4, .heads = 2, .asked = 3, .given = 2, .places = 5, .dropout = 0.2, .epsilon = 0.1};
}

}  // namespace

TEST_CASE("pointwise aggregation gives the gradient of every weight and input") {
  simgr_test::check_sequence_gradients<PointwiseAggregation>(two_heads(), walks_of_three, 4);
  PointwiseAggregation::Config config = two_heads();
  config.time_buckets = 6;
  config.place_bias = false;
  const std::vector<std::int64_t> times{0, 2, 9, 9, 4, 1, 1, 100000};
  simgr_test::check_gradients<PointwiseAggregation>(
      config, 8, 4,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return PointwiseAggregation::forward(config, p, x, walks_of_three, cache, ctx, times);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        return PointwiseAggregation::backward(config, p, g, dy, walks_of_three, cache, ctx);
      });
}

TEST_CASE("what serves of pointwise aggregation is what trains, without the future") {
  const PointwiseAggregation::Config config = two_heads();
  const ParameterTable table = describe<PointwiseAggregation>(config);
  std::vector<double> weights = simgr_test::random_block(table, 3),
                      x = simgr_test::random_values(8 * 4, 4);
  const auto p = bind<PointwiseAggregation>(config, weights.data());
  Arena arena;
  cpu::Context ctx{arena};
  const MatrixArg<double> in(x.data(), {8, 4});
  PointwiseAggregation::Cache<double> cache;
  const Matrix<double> y = PointwiseAggregation::forward(config, p, in, walks_of_three, cache, ctx);
  const std::vector<std::int32_t> ends{3, 4, 7};
  const Matrix<double> all = PointwiseAggregation::serve_all(config, p, in, walks_of_three,
                                                             Matrix<double>{}, ctx),
                       last = PointwiseAggregation::serve_last(
                           config, p, in, walks_of_three, std::span(ends), Matrix<double>{}, ctx);
  for (Index c = 0; c < 4; ++c) {
    for (Index t = 0; t < 8; ++t) { CHECK(all(t, c) == y(t, c)); }
    for (Index s = 0; s < 3; ++s) {
      CHECK(last(s, c) == doctest::Approx(y(ends[static_cast<std::size_t>(s)], c)).epsilon(1e-12));
    }
  }
  const std::vector<double> before(y.begin(), y.end());
  x[3 * 4] += 1;  // the last of the first sequence
  const Matrix<double> other =
      PointwiseAggregation::forward(config, p, in, walks_of_three, cache, ctx);
  for (Index t = 0; t < 8; ++t) {
    CHECK((other(t, 0) == before[static_cast<std::size_t>(4 * t)]) == (t != 3));
  }
}
