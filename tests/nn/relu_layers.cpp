// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/relu_layers.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

TEST_CASE("layers with rectified units between them give the gradients of their forward pass") {
  for (const std::vector<Index>& widths :
       {std::vector<Index>{5, 3}, std::vector<Index>{5, 7, 2, 3}}) {
    simgr_test::check_gradients<ReluLayers>({widths}, 6, 5);
  }
}

TEST_CASE("the last layer is not cut at zero, those before it are") {
  const ReluLayers::Config c{{1, 1, 1}};
  Arena arena;
  cpu::Context ctx{arena};
  const auto y_of = [&](double x) {
    double one = 1, minus_two = -2, none = 0;
    const Vector<double> bias(&none, {1});
    const ReluLayers::Params<double> p{{{{&one, {1, 1}}, bias}, {{&minus_two, {1, 1}}, bias}}};
    ReluLayers::Cache<double> cache;
    return ReluLayers::forward(c, p, Matrix<const double>(&x, {1, 1}), cache, ctx)(0, 0);
  };
  CHECK(y_of(3) == -6);
  CHECK(y_of(-3) == 0);
}
