// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/moving_average.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

using simgr::train::MovingAverage;

TEST_CASE("the average begins at the weights and follows them by its decay") {
  MovingAverage<double> average(0.9, 3);
  std::vector<double> expected{1, -2, 0};
  average.update(std::vector<double>{1, -2, 0});
  CHECK(std::equal(expected.begin(), expected.end(), average.average().begin()));
  for (int t = 1; t < 20; ++t) {
    const std::vector<double> weights{1.0 * t, std::sin(t), 5};
    average.update(weights);
    for (std::size_t i = 0; i < 3; ++i) {
      expected[i] = 0.9 * expected[i] + 0.1 * weights[i];
      CHECK(average.average()[i] == doctest::Approx(expected[i]).epsilon(1e-14));
    }
  }
  CHECK(average.updates() == 20);
}

TEST_CASE("exchanging twice leaves every bit as it was") {
  MovingAverage<float> average(0.5, 2);
  average.update(std::vector<float>{0.1f, 0.7f});
  average.update(std::vector<float>{0.3f, -0.2f});
  const std::vector<float> before{0.3f, -0.2f};
  std::vector<float> weights = before;
  average.exchange(weights);
  CHECK(weights[0] == doctest::Approx(0.2f));
  average.exchange(weights);
  CHECK(weights == before);
}

TEST_CASE("a restored average goes on with the same bits") {
  MovingAverage<float> whole(0.99, 4), restored(0.99, 4);
  std::vector<float> weights{1, 2, 3, 4};
  const auto drift = [&weights] {
    for (float& w : weights) { w = w * 0.9f + 0.01f; }
  };
  for (int t = 0; t < 5; ++t, drift()) { whole.update(weights); }
  std::copy(whole.average().begin(), whole.average().end(), restored.average().begin());
  restored.set_updates(whole.updates());
  for (int t = 0; t < 5; ++t, drift()) {
    whole.update(weights);
    restored.update(weights);
  }
  CHECK(std::equal(whole.average().begin(), whole.average().end(), restored.average().begin()));
}

TEST_CASE("a decay that cannot be is refused") {
  CHECK_THROWS_AS(MovingAverage<float>(1.0, 4), simgr::ConfigError);
  CHECK_THROWS_AS(MovingAverage<float>(-0.1, 4), simgr::ConfigError);
  CHECK_THROWS_AS(MovingAverage<float>(std::nan(""), 4), simgr::ConfigError);
}
