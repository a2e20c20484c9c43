// SPDX-License-Identifier: Apache-2.0
#include <loss/golden_losses.hpp>

namespace simgr_test {
void check_loss_in_float(GoldenCase& golden);
void check_loss_in_float(GoldenCase& golden) {
  check_loss<float>(golden);
}
}  // namespace simgr_test
