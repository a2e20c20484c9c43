// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/lora.hpp>

#include <algorithm>

#include <simgr/train/optimizer.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

using Adapter = Lora<Linear>;

TEST_CASE("an adapter over a trained base gives the gradients of its forward pass") {
  simgr_test::check_gradients<Adapter>({.base = {5, 7}, .rank = 3, .alpha = 6, .frozen = false}, 6,
                                       5);
}

TEST_CASE("a merged adapter is the adapter, and a frozen base gets no gradient") {
  const Adapter::Config config{.base = {5, 7}, .rank = 2, .alpha = 3};
  const ParameterTable table = describe<Adapter>(config);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 1),
                      gradients(weights.size());
  const auto params = bind<Adapter>(config, weights.data()),
             grads = bind<Adapter>(config, gradients.data());
  Arena arena;
  cpu::Context ctx{arena, true};
  const std::vector<double> x = simgr_test::random_values(30, 2);
  const MatrixArg<double> input(x.data(), {6, 5});
  Adapter::Cache<double> cache;
  const Matrix<double> y = Adapter::forward(config, params, input, cache, ctx);

  Linear::Params<double> merged{ctx.take<double>(7, 5), params.base.bias};
  Adapter::merge(config, params, merged.weight, ctx);
  Linear::Cache<double> plain;
  const Matrix<double> expected = Linear::forward(config.base, merged, input, plain, ctx);
  for (Index i = 0; i < y.size(); ++i) {
    CHECK(y.data()[i] == doctest::Approx(expected.data()[i]).epsilon(1e-12));
  }

  const Matrix<double> dx = Adapter::backward(config, params, grads, y, cache, ctx);
  const Linear::Params<double> unused{ctx.take<double>(7, 5), ctx.take<double>(Index{7})};
  const Matrix<double> expected_dx = Linear::backward(config.base, merged, unused, y, plain, ctx);
  for (Index i = 0; i < dx.size(); ++i) {
    CHECK(dx.data()[i] == doctest::Approx(expected_dx.data()[i]).epsilon(1e-12));
  }
  for (const double value : grads.base.weight) { CHECK(value == 0); }
  double moved = 0;
  for (const double value : grads.a) { moved += std::abs(value); }
  CHECK(moved > 0);
}

TEST_CASE("weight decay leaves a frozen base where it is, and moves one that learns") {
  for (const bool frozen : {true, false}) {
    const Adapter::Config config{.base = {5, 7}, .rank = 2, .alpha = 3, .frozen = frozen};
    const ParameterTable table = describe<Adapter>(config);
    const auto values = simgr_test::random_values(table.block_size, 1);
    std::vector<float> weights(values.begin(), values.end()), gradients(weights.size());
    const std::vector<float> before = weights;
    train::OptimizerState<float> optimizer({.weight_decay = 0.1}, table.trained_size);
    optimizer.step(table, weights, gradients, 0.1, 1);
    for (const TensorEntry& tensor : table.tensors) {
      const bool stays =
          std::equal(weights.begin() + tensor.offset, weights.begin() + tensor.offset + tensor.size,
                     before.begin() + tensor.offset);
      CAPTURE(tensor.name);
      CHECK(stays == (tensor.name == "base.bias" || (frozen && tensor.name == "base.weight")));
    }
  }
}
