// SPDX-License-Identifier: Apache-2.0
#include <loss/golden_losses.hpp>

namespace simgr_test {
void check_loss_in_float(GoldenCase& golden);
}

TEST_SUITE("golden") {
  TEST_CASE("losses reproduce the reference in both scalars") {
    simgr_test::GoldenFamily family("losses");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      simgr_test::check_loss<double>(golden);
      simgr_test::check_loss_in_float(golden);
    }
  }
}
