// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/activation.hpp>

#include <support/gradient_check.hpp>

TEST_CASE_TEMPLATE("activations give the gradients of their forward pass", F, simgr::Relu,
                   simgr::GeluErf, simgr::GeluTanh, simgr::Silu, simgr::Sigmoid, simgr::Tanh,
                   simgr::Softplus) {
  simgr_test::check_gradients<simgr::Activation<F>>({}, 6, 7);
}

TEST_CASE("the float error function is the error function") {
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  constexpr simgr::Index count = 4096;
  const simgr::Matrix<float> x = ctx.take<float>(1, count), y = ctx.take<float>(1, count);
  double worst = 0;
  for (simgr::Index i = 0; i < count; ++i) {
    x(0, i) = static_cast<float>(i - count / 2) * 6 / count * 2;
  }
  activate(ctx, simgr::GeluErf{}, simgr::MatrixArg<float>(x), y);
  for (simgr::Index i = 0; i < count; ++i) {
    const double at = static_cast<double>(x(0, i));
    const double expected = 0.5 * at * (1 + std::erf(at / std::sqrt(2.0)));
    worst = std::max(worst, std::abs(static_cast<double>(y(0, i)) - expected) /
                                std::max(1.0, std::abs(at)));
  }
  CHECK(worst < 4e-7);
}
