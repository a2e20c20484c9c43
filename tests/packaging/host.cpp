// SPDX-License-Identifier: Apache-2.0
// A host that knows the library from the README alone.
#include <simgr/core/parameter.hpp>
#include <simgr/cpu/gemm.hpp>

int main() {
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  const simgr::Matrix<float> a = ctx.take<float>(2, 2);
  const simgr::Matrix<float> y = ctx.take<float>(2, 2);
  for (float& value : a) { value = 1; }
  gemm_nt(ctx, a, a, y, simgr::Write::assign);
  return y(0, 1) == 2 ? 0 : 1;
}
