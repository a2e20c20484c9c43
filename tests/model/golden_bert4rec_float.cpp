// SPDX-License-Identifier: Apache-2.0
#include <model/golden_bert4rec.hpp>

namespace simgr_test {
void check_bert4rec_in_float(GoldenCase& golden);
void check_bert4rec_in_float(GoldenCase& golden) {
  check_bert4rec<float>(golden);
}
}  // namespace simgr_test
