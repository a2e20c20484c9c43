// SPDX-License-Identifier: Apache-2.0
#include <simgr/pooler/sequence.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

const std::vector<Index> three_rows{0, 3, 4, 8};

/// A pooler as the gradient check wants it: Config is the shape.
template <class P>
struct AsLayer {
  using Config = PoolerShape;
  template <class T, class S = Host>
  using Params = typename P::template Params<T, S>;
  template <class T>
  using Cache = typename P::template Cache<T>;
  template <class F, class... Q>
  static void for_each_parameter(const Config& c, F&& f, Q&... p) {
    P::for_each_parameter(c, f, p...);
  }
  static auto forward(const Config& c, const auto& p, auto x, Offsets offsets, auto& cache,
                      auto& ctx) {
    return P::forward(c, p, x, offsets, cache, ctx);
  }
  static auto backward(const Config& c, const auto& p, const auto& grad, auto dy, Offsets offsets,
                       const auto& cache, auto& ctx) {
    return P::backward(c, p, grad, dy, offsets, cache, ctx);
  }
};

/// Rows of P over `x` cut by `offsets`, with weights from a fixed seed.
template <class P>
std::vector<double> pooled(const std::vector<double>& x, Index width,
                           const std::vector<Index>& offsets) {
  using L = AsLayer<P>;
  const PoolerShape shape{width, 1};
  const ParameterTable table = describe<L>(shape);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 4);
  const auto params = bind<L>(shape, weights.data());
  Arena arena;
  cpu::Context ctx{arena};
  typename P::template Cache<double> cache;
  const Matrix<double> y = P::forward(
      shape, params, MatrixArg<double>(x.data(), {offsets.back(), width}), offsets, cache, ctx);
  return {y.begin(), y.end()};
}

}  // namespace

TEST_CASE_TEMPLATE("poolers of whole sequences give the gradients of their forward pass", P,
                   SequenceMean, SequenceAttention, SequenceGate, SequenceCrossAttention) {
  simgr_test::check_sequence_gradients<AsLayer<P>>({5, 1}, three_rows, 5);
}

TEST_CASE_TEMPLATE("a pooled row reads its own sequence and nothing else", P, SequenceMean,
                   SequenceAttention, SequenceGate, SequenceCrossAttention) {
  const std::vector<double> x = simgr_test::random_values(8 * 5, 9);
  const std::vector<double> together = pooled<P>(x, 5, three_rows);
  REQUIRE(together.size() == 15);
  for (std::size_t s = 0; s < 3; ++s) {
    const std::vector<double> part(x.begin() + three_rows[s] * 5,
                                   x.begin() + three_rows[s + 1] * 5);
    const std::vector<double> alone = pooled<P>(part, 5, {0, three_rows[s + 1] - three_rows[s]});
    for (std::size_t j = 0; j < 5; ++j) {
      CHECK(alone[j] == doctest::Approx(together[5 * s + j]).epsilon(1e-13));
    }
  }
}

TEST_CASE_TEMPLATE("weights that sum to one leave equal states as they are", P, SequenceMean,
                   SequenceAttention) {
  std::vector<double> x;
  for (int t = 0; t < 4; ++t) { x.insert(x.end(), {1.0, -2.0, 3.0}); }
  const std::vector<double> y = pooled<P>(x, 3, {0, 4});
  CHECK(y[0] == doctest::Approx(1));
  CHECK(y[1] == doctest::Approx(-2));
  CHECK(y[2] == doctest::Approx(3));
}
