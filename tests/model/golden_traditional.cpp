// SPDX-License-Identifier: Apache-2.0
#include <model/golden_window.hpp>

namespace simgr_test {
void check_window_model_in_float(GoldenCase& golden);
}

TEST_SUITE("golden") {
  TEST_CASE("traditional models reproduce the reference in both scalars") {
    simgr_test::GoldenFamily family("traditional");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      if (golden.has("input.users")) {
        simgr_test::check_window_model<double>(golden);
        simgr_test::check_window_model_in_float(golden);
      } else {
        golden.still_to_come("BERT4Rec");
      }
    }
  }
}
