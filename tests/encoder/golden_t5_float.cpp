// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_t5.hpp>

namespace simgr_test {
void check_t5_in(GoldenModel& model, float);
void check_t5_in(GoldenModel& model, float) {
  check_t5<float>(model);
}
}  // namespace simgr_test
