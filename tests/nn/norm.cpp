// SPDX-License-Identifier: Apache-2.0
#include <support/gradient_check.hpp>

#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/rms_norm.hpp>

TEST_CASE("LayerNorm gives the gradients of its forward pass") {
  simgr_test::check_gradients<simgr::LayerNorm>({7}, 6, 7);
}
TEST_CASE("RmsNorm gives the gradients of its forward pass") {
  simgr_test::check_gradients<simgr::RmsNorm>({7}, 6, 7);
}
