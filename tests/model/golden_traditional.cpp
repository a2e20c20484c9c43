// SPDX-License-Identifier: Apache-2.0
#include <model/golden_bert4rec.hpp>
#include <model/golden_window.hpp>

namespace simgr_test {
void check_window_model_in_float(GoldenCase& golden);
void check_bert4rec_in_float(GoldenCase& golden);
}  // namespace simgr_test

TEST_SUITE("golden") {
  TEST_CASE("traditional models reproduce the reference in both scalars") {
    simgr_test::GoldenFamily family("traditional");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      if (golden.has("input.users")) {
        simgr_test::check_window_model<double>(golden);
        simgr_test::check_window_model_in_float(golden);
      } else if (golden.has_config("mask_id")) {
        simgr_test::check_bert4rec<double>(golden);
        simgr_test::check_bert4rec_in_float(golden);
      }
    }
  }
}
