// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/activation.hpp>

#include <support/gradient_check.hpp>

TEST_CASE_TEMPLATE("activations give the gradients of their forward pass", F, simgr::Relu,
                   simgr::GeluErf, simgr::GeluTanh, simgr::Silu, simgr::Sigmoid, simgr::Tanh,
                   simgr::Softplus) {
  simgr_test::check_gradients<simgr::Activation<F>>({}, 6, 7);
}
