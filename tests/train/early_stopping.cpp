// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/early_stopping.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

using simgr::train::EarlyStopping;

TEST_CASE("training ends after as many evaluations without improvement as patience allows") {
  EarlyStopping stopping({.patience = 2});
  CHECK(stopping.improves(1, 0.10));
  CHECK_FALSE(stopping.improves(2, 0.10));  // equal is no improvement
  CHECK_FALSE(stopping.finished());
  CHECK(stopping.improves(3, 0.11));
  CHECK_FALSE(stopping.improves(4, 0.05));
  CHECK_FALSE(stopping.finished());
  CHECK_FALSE(stopping.improves(5, 0.109));
  CHECK(stopping.finished());
  CHECK(stopping.state().best_epoch == 3);
  CHECK(stopping.state().best == 0.11);
}

TEST_CASE("an improvement must exceed min_delta, except the first value") {
  EarlyStopping stopping({.patience = 1, .min_delta = 0.01});
  CHECK(stopping.improves(1, 0.0));
  CHECK_FALSE(stopping.improves(2, 0.009));
  CHECK(stopping.finished());
}

TEST_CASE("NaN never improves and patience 0 never ends") {
  EarlyStopping stopping({.patience = 0});
  for (simgr::Index epoch = 1; epoch < 100; ++epoch) {
    CHECK_FALSE(stopping.improves(epoch, std::nan("")));
  }
  CHECK_FALSE(stopping.finished());
  CHECK(stopping.state().best_epoch == 0);
  CHECK(stopping.improves(100, 0.2));
}

TEST_CASE("a resumed run stops where the uninterrupted one does") {
  const std::vector<double> metrics{0.1, 0.3, 0.2, 0.25, 0.31, 0.1, 0.1, 0.1, 0.1};
  const auto end_of = [&](std::size_t interrupted) {
    EarlyStopping stopping({.patience = 3});
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      if (i == interrupted) {
        const auto kept = stopping.state();
        stopping = EarlyStopping({.patience = 3}, kept);
      }
      stopping.improves(static_cast<simgr::Index>(i + 1), metrics[i]);
      if (stopping.finished()) {
        return i;
      }
    }
    return metrics.size();
  };
  const std::size_t uninterrupted = end_of(metrics.size());
  CHECK(uninterrupted == 7);
  for (std::size_t i = 0; i <= 7; ++i) { CHECK(end_of(i) == uninterrupted); }
}
