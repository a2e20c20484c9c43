// SPDX-License-Identifier: Apache-2.0
#include <model/golden_rpg.hpp>

namespace simgr_test {
void check_rpg_in_float(GoldenCase& golden);
}

TEST_SUITE("golden") {
  TEST_CASE("RPG's heads, model and graph search reproduce the reference in both scalars") {
    simgr_test::GoldenFamily family("rpg");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      simgr_test::check_rpg<double>(golden);
      simgr_test::check_rpg_in_float(golden);
    }
  }
}
