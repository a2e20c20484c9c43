// SPDX-License-Identifier: Apache-2.0
#include <model/golden_window.hpp>

namespace simgr_test {
void check_window_model_in_float(GoldenCase& golden) {
  check_window_model<float>(golden);
}
}  // namespace simgr_test
