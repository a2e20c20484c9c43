// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/linear.hpp>

#include <support/gradient_check.hpp>

TEST_CASE("Linear gives the gradients of its forward pass") {
  simgr_test::check_gradients<simgr::Linear>({5, 7}, 6, 5);
  simgr_test::check_gradients<simgr::Linear>({5, 7, false}, 1, 5);
}
