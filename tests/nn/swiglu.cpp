// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/swiglu.hpp>

#include <support/gradient_check.hpp>

TEST_CASE("SwiGlu gives the gradients of its forward pass") {
  simgr_test::check_gradients<simgr::SwiGlu>({5, 7}, 6, 5);
}
