// SPDX-License-Identifier: Apache-2.0
#include <model/one_step.hpp>

using namespace simgr;

namespace simgr_test {
std::vector<double> step_in_float(const ToySimGr::Config& config, const std::vector<double>& from);
}  // namespace simgr_test

TEST_CASE("a step in float is the step in double to a thousandth") {
  using Model = simgr_test::ToySimGr;
  Model::Config config{.encoder = simgr_test::tiny<simgr_test::SimGrEncoder>(),
                       .similarity = {.temperature = 0.3}};
  config.encoder.catalogue = simgr_test::ToyWorld().sizes;
  const std::vector<double> weights =
      simgr_test::random_values(describe<Model>(config).block_size, 5, 0.4);
  const std::vector<double> exact = simgr_test::step<Model, double>(config, weights),
                            found = simgr_test::step_in_float(config, weights);
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::abs(found[i] - exact[i]) / std::max(1.0, std::abs(exact[i])));
    largest = std::max(largest, std::abs(exact[i]));
  }
  CHECK(worst < 1e-3);
  CHECK(largest > 0.1);
}
