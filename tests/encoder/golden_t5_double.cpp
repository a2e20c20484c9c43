// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_t5.hpp>

namespace simgr_test {
void check_t5_in(GoldenModel& model, double);
void check_t5_in(GoldenModel& model, double) {
  check_t5<double>(model);
}
}  // namespace simgr_test
