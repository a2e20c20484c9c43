// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_sasrec.hpp>

namespace simgr_test {
void check_post_norm(GoldenCase& golden, double);
void check_post_norm(GoldenCase& golden, double) {
  SasRecKind<double, PostNorm, Relu>::check(golden);
}
}  // namespace simgr_test
