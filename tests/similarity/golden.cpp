// SPDX-License-Identifier: Apache-2.0
#include <similarity/golden_simgr.hpp>

namespace simgr_test {
void check_simgr_in_float(GoldenCase& golden);
}

TEST_SUITE("golden") {
  TEST_CASE("SimGR's variant A reproduces the reference in both scalars") {
    simgr_test::GoldenFamily family("simgr");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      simgr_test::check_simgr<double>(golden);
      simgr_test::check_simgr_in_float(golden);
    }
  }
}
