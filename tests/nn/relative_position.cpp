// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/relative_position.hpp>

#include <support/golden.hpp>
#include <support/gradient_check.hpp>

using namespace simgr;

TEST_CASE("every distance of a short sequence reads the table's row of its bucket") {
  const RelativePosition::Config config{.heads = 2, .buckets = 8, .farthest = 20};
  simgr_test::check_gradients<RelativePosition>(
      config, 1, 1,
      [&](const auto& p, auto, auto& cache, auto& ctx) {
        return RelativePosition::forward(config, p, 7, cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        RelativePosition::backward(config, p, g, dy, cache, ctx);
        const Matrix<double> none = ctx.template take<double>(1, 1);
        fill(ctx, none, 0.0);
        return none;
      });
}

TEST_CASE("a distance is the key's position minus the query's") {
  const RelativePosition::Config config{.heads = 2, .buckets = 8, .farthest = 20};
  std::vector<double> table = simgr_test::random_values(16, 1);
  const RelativePosition::Params<double> p{{table.data(), {8, 2}}};
  Arena arena;
  cpu::Context ctx{arena};
  RelativePosition::Cache<double> cache;
  const Matrix<double> y = RelativePosition::forward(config, p, 4, cache, ctx);
  REQUIRE(y.cols() == 7);
  for (Index h = 0; h < 2; ++h) {
    for (Index query = 0; query < 4; ++query) {
      for (Index key = 0; key < 4; ++key) {
        CHECK(y(h, 3 + key - query) == p.table(RelativePosition::bucket(config, key - query), h));
      }
    }
  }
  CHECK(RelativePosition::bucket(config, 1) != RelativePosition::bucket(config, -1));
}

TEST_SUITE("golden") {
  TEST_CASE("buckets of relative positions are those of the reference") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    simgr_test::GoldenCase golden("models/t5_buckets",
                                  *shared / "golden/models/t5_buckets.safetensors");
    const std::vector<Index> distances = golden.tensor<Index>("relative_position");
    std::size_t tables = 0;
    for (const std::string& name : golden.tensors("buckets")) {
      RelativePosition::Config config;
      char direction[32] = {};
      REQUIRE(std::sscanf(name.c_str(), "buckets%td_max%td_%31s", &config.buckets, &config.farthest,
                          direction) == 3);
      config.bidirectional = std::string(direction) == "bidirectional";
      const std::vector<Index> stored = golden.tensor<Index>(name);
      REQUIRE(stored.size() == distances.size());
      for (std::size_t i = 0; i < stored.size(); ++i) {
        INFO(name, ", distance ", distances[i]);
        REQUIRE(RelativePosition::bucket(config, distances[i]) == stored[i]);
      }
      ++tables;
    }
    CHECK(tables + 1 == golden.tensors().size());
    std::printf("golden/models/t5_buckets: %zu tables checked\n", tables);
  }
}
