// SPDX-License-Identifier: Apache-2.0
#include <simgr/encoder/masked_lm.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

using Texts = Ragged<std::int32_t>;

template <class T>
struct SmallLm {
  using Lm = MaskedLm<>;
  Lm::Config config{.vocabulary = 9,
                    .positions = 7,
                    .types = 2,
                    .width = 6,
                    .layers = 2,
                    .heads = 3,
                    .inner = 5,
                    .dropout = 0,
                    .attention_dropout = 0};
  ParameterTable table = describe<Lm>(config);
  std::vector<T> weights, gradients;
  Lm::Params<T> params, grads;
  Texts texts;
  std::vector<std::int32_t> types{0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1};

  SmallLm() : gradients(static_cast<std::size_t>(table.block_size)) {
    const std::vector<double> values = simgr_test::random_values(table.block_size, 1, 0.5);
    weights.assign(values.begin(), values.end());
    params = bind<Lm>(config, weights.data());
    grads = bind<Lm>(config, gradients.data());
    texts.push_back(std::vector<std::int32_t>{3, 1, 3});
    texts.push_back(std::vector<std::int32_t>{5});
    texts.push_back(std::vector<std::int32_t>{8, 0, 2, 3, 5, 5, 7});
  }
  std::vector<T> states(const Texts& read, std::span<const std::int32_t> kinds, bool serving) {
    Arena arena;
    cpu::Context ctx{arena, !serving, 7, 3};
    Lm::Cache<T> cache;
    const Matrix<T> y = serving ? Lm::serve(config, params, read.view(), kinds, ctx)
                                : Lm::forward(config, params, read.view(), kinds, cache, ctx);
    return {y.begin(), y.end()};
  }
};

/// Gradients of every weight, by a random projection of the states.
double check_masked_lm(SmallLm<double>& lm, std::span<const std::int32_t> types) {
  Arena arena;
  std::vector<double> projection;
  {
    cpu::Context ctx{arena, true, 7, 3};
    MaskedLm<>::Cache<double> cache;
    const Matrix<double> y =
        MaskedLm<>::forward(lm.config, lm.params, lm.texts.view(), types, cache, ctx);
    projection = simgr_test::random_values(y.size(), 3);
    MaskedLm<>::backward(lm.config, lm.params, lm.grads,
                         Matrix<const double>(projection.data(), y.shape()), cache, ctx);
  }
  const auto loss = [&] {
    const std::vector<double> y = lm.states(lm.texts, types, false);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) { sum += y[i] * projection[i]; }
    return sum;
  };
  std::vector<simgr_test::Block> blocks;
  for (const TensorEntry& tensor : lm.table.tensors) {
    const auto at = static_cast<std::size_t>(tensor.offset),
               size = static_cast<std::size_t>(tensor.size);
    blocks.push_back({tensor.name, std::span(lm.weights).subspan(at, size),
                      std::span<const double>(lm.gradients).subspan(at, size)});
  }
  return simgr_test::compare_with_differences(blocks, loss, 1e-7);
}

}  // namespace

TEST_CASE("MaskedLm: gradients of all weights agree with finite differences") {
  SUBCASE("with types") {
    SmallLm<double> lm;
    check_masked_lm(lm, lm.types);
  }
  SUBCASE("without types, and with dropout") {
    SmallLm<double> lm;
    lm.config.dropout = lm.config.attention_dropout = 0.3;
    check_masked_lm(lm, {});
  }
}

TEST_CASE("MaskedLm: no types are all of type 0") {
  SmallLm<double> lm;
  const std::vector<std::int32_t> zeros(lm.types.size(), 0);
  CHECK(lm.states(lm.texts, {}, false) == lm.states(lm.texts, zeros, false));
  CHECK(lm.states(lm.texts, {}, false) != lm.states(lm.texts, lm.types, false));
}

TEST_CASE("MaskedLm: a text has the same states alone, in any company and when served") {
  SmallLm<double> lm;
  const std::vector<double> all = lm.states(lm.texts, {}, false);
  const std::vector<double> served = lm.states(lm.texts, {}, true);
  REQUIRE(all.size() == served.size());
  std::size_t at = 0;
  for (Index s = 0; s < lm.texts.sequences(); ++s) {
    Texts one;
    one.push_back(lm.texts[s]);
    for (const double value : lm.states(one, {}, true)) {
      CHECK(value == doctest::Approx(all[at]).epsilon(1e-12));
      CHECK(value == doctest::Approx(served[at]).epsilon(1e-12));
      ++at;
    }
  }
  CHECK(at == all.size());
}

TEST_CASE("MaskedLm: float is close to double") {
  SmallLm<double> exact;
  SmallLm<float> rounded;
  const std::vector<double> a = exact.states(exact.texts, exact.types, true);
  const std::vector<float> b = rounded.states(rounded.texts, rounded.types, true);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(std::abs(a[i] - static_cast<double>(b[i])) < 1e-4);
  }
}

TEST_CASE("MaskedLm: heads must divide the width") {
  CHECK(MaskedLm<>::check({.width = 6, .heads = 4}) ==
        "heads: expected a divisor of width 6, found 4");
  CHECK(MaskedLm<>::check({}).empty());
}
