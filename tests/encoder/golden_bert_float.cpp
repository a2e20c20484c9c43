// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_sasrec.hpp>

namespace simgr_test {
void check_bert(GoldenCase& golden, float);
void check_bert(GoldenCase& golden, float) {
  SasRecKind<float, PostNorm, GeluErf>::check(golden);
}
}  // namespace simgr_test
