// SPDX-License-Identifier: Apache-2.0
#include <support/golden_compare.hpp>

#include <simgr/nn/pointwise_aggregation.hpp>

using namespace simgr;
using simgr_test::GoldenCase;

namespace {

std::vector<std::string> stored_in_hstu(const std::string& name) {
  if (name == "projected") {
    return {"uvqk"};
  }
  if (name == "of_place" || name == "of_time") {
    return {name == "of_place" ? "position_bias" : "time_bias"};
  }
  return {name};
}

template <class T>
void check_hstu(GoldenCase& golden) {
  simgr_test::Bench bench;
  const bool timed = golden.has("input.timestamps");
  const PointwiseAggregation::Config config{.width = golden.integer("width"),
                                            .heads = golden.integer("heads"),
                                            .asked = golden.integer("attention_width"),
                                            .given = golden.integer("linear_width"),
                                            .places = golden.integer("max_length"),
                                            .place_bias = golden.has("param.position_bias"),
                                            .time_buckets =
                                                timed ? golden.integer("time_buckets") : 0,
                                            .epsilon = golden.number("eps")};
  simgr_test::GoldenParameters<PointwiseAggregation, T> p(config);
  p.load(golden, stored_in_hstu);
  const simgr_test::Padding padding(golden, "input.x");
  std::vector<std::int64_t> times;
  if (timed) {
    times = padding.pack(golden.tensor<std::int64_t>("input.timestamps"));
  }
  const std::vector<T> x = padding.pack(golden.tensor<T>("input.x")),
                       dy = padding.pack(golden.tensor<T>("input.upstream"));
  const Shape<2> shape{padding.tokens(), config.width};
  PointwiseAggregation::Cache<T> cache;
  const Matrix<T> y = PointwiseAggregation::forward(config, p.params, MatrixArg<T>(x.data(), shape),
                                                    padding.offsets, cache, bench.ctx, times);
  simgr_test::meets(golden, "output.y", padding.unpack(std::span<const T>(y.span())));
  if (timed) {  // [sequences, longest, longest], -1 where nobody looks
    const std::vector<std::int64_t> stored = golden.tensor<std::int64_t>("output.time_buckets");
    std::size_t at = 0;
    for (Index s = 0; s < padding.sequences(); ++s) {
      const Index length = padding.offsets[static_cast<std::size_t>(s) + 1] -
                           padding.offsets[static_cast<std::size_t>(s)];
      for (Index i = 0; i < length; ++i) {
        for (Index j = 0; j < length; ++j, ++at) {
          if (j <= i) {
            CHECK(
                stored[static_cast<std::size_t>((s * padding.longest + i) * padding.longest + j)] ==
                cache.buckets[at]);
          }
        }
      }
    }
  }
  const Matrix<T> dx = PointwiseAggregation::backward(
      config, p.params, p.grads, MatrixArg<T>(dy.data(), shape), padding.offsets, cache, bench.ctx);
  simgr_test::meets(golden, "grad.x", padding.unpack(std::span<const T>(dx.span())));
  p.compare(golden, stored_in_hstu);
  simgr_test::meets_loss<T>(golden, simgr_test::dot<T>(y.span(), dy));
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("pointwise aggregation reproduces the reference in both scalars") {
    simgr_test::GoldenFamily family("hstu");
    for (GoldenCase& golden : family.cases()) {
      check_hstu<double>(golden);
      check_hstu<float>(golden);
    }
  }
}
