// SPDX-License-Identifier: Apache-2.0
#include <similarity/golden_simgr.hpp>

namespace simgr_test {
void check_simgr_in_float(GoldenCase& golden);
void check_simgr_in_float(GoldenCase& golden) {
  check_simgr<float>(golden);
}
}  // namespace simgr_test
