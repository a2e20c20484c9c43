// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_sasrec.hpp>

namespace simgr_test {
void check_bert(GoldenCase& golden, double);
void check_bert(GoldenCase& golden, double) {
  SasRecKind<double, PostNorm, GeluErf>::check(golden);
}
}  // namespace simgr_test
