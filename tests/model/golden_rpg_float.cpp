// SPDX-License-Identifier: Apache-2.0
#include <model/golden_rpg.hpp>

namespace simgr_test {
void check_rpg_in_float(GoldenCase& golden);
void check_rpg_in_float(GoldenCase& golden) {
  check_rpg<float>(golden);
}
}  // namespace simgr_test
