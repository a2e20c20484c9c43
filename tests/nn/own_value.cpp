// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/own_value.hpp>

#include <support/gradient_check.hpp>

#include <simgr/nn/unscaled_attention.hpp>

using namespace simgr;

TEST_CASE("the value of a token gives the gradients of its forward pass") {
  const OwnValue::Config c{5, 7};
  simgr_test::check_gradients<OwnValue>(
      c, 6, 5,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return OwnValue::forward(c, p, x, x, {}, {}, {}, cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        return OwnValue::backward(c, p, g, dy, {}, {}, Matrix<double>{}, Matrix<double>{}, cache,
                                  ctx);
      });
}

TEST_CASE("a token that attends to itself alone is left with its value") {
  using Attention = UnscaledAttention<Bidirectional>;
  const Attention::Config c{.width = 5, .heads = 2, .head_width = 3};
  std::vector<double> weights = simgr_test::random_values(describe<Attention>(c).block_size, 3);
  const std::vector<double> rows = simgr_test::random_values(4 * 5, 4);
  const auto p = bind<Attention>(c, weights.data());
  const Matrix<const double> x(rows.data(), {4, 5});
  const std::vector<Index> alone{0, 1, 2, 3, 4};
  Arena arena;
  cpu::Context ctx{arena};
  Attention::Cache<double> attention_cache;
  OwnValue::Cache<double> value_cache;
  const Matrix<double> attended =
      Attention::forward(c, p, x, x, alone, alone, {}, attention_cache, ctx);
  const OwnValue::Params<double> own{{p.key_value.weight.slice(6, 6), {}}, p.out};
  const Matrix<double> value =
      OwnValue::forward({5, 6}, own, x, x, alone, alone, {}, value_cache, ctx);
  for (Index i = 0; i < value.size(); ++i) {
    CHECK(value.data()[i] == doctest::Approx(attended.data()[i]).epsilon(1e-12));
  }
}
