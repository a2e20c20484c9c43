// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/digit_pooler.hpp>

#include <support/gradient_check.hpp>

#include <simgr/nn/digit_cross_attention.hpp>

using namespace simgr;

namespace {

// Seven items of three digits over a table of 11 rows; two items share all digits.
const std::vector<std::int32_t> digits{0, 4, 8, 1,  5, 9, 2, 6, 10, 3, 7,
                                       8, 0, 5, 10, 1, 4, 9, 0, 4,  8};
const Matrix<const std::int32_t> rows(digits.data(), {7, 3});

/// A digit pooler as the gradient check wants it: x is the digit table.
template <class P>
struct OverTable {
  using Config = DigitShape<typename P::Config>;
  template <class T, class S = Host>
  using Params = typename P::template Params<T, S>;
  template <class T, class S = Host>
  struct Cache {
    typename P::template Cache<T, S> own;
    MatrixArg<T, S> table;
  };
  template <class F, class... Q>
  static void for_each_parameter(const Config& c, F&& f, Q&... p) {
    P::for_each_parameter(c, f, p...);
  }
  static auto forward(const Config& c, const auto& p, auto table, auto& cache, auto& ctx) {
    cache.table = table;
    return P::forward(c, p, table, rows, cache.own, ctx);
  }
  static auto backward(const Config& c, const auto& p, const auto& grad, auto dy, const auto& cache,
                       auto& ctx) {
    Matrix<double> dtable = ctx.template take<double>(cache.table.rows(), cache.table.cols());
    fill(ctx, dtable, 0.0);
    P::backward(c, p, grad, cache.table, rows, dy, dtable, cache.own, ctx);
    return dtable;
  }
};

}  // namespace

TEST_CASE_TEMPLATE("digit poolers give the gradients of their forward pass", P, Mean, Sum,
                   MeanPlusMlp, DigitAttention, DigitGate, CrossAttention) {
  DigitShape<typename P::Config> shape{5, 3, {}};
  if constexpr (requires { shape.own.scale; }) {
    shape.own.scale = 1.5;  // the rows of this test are not small
  }
  simgr_test::check_gradients<OverTable<P>>(shape, 11, 5);
}

TEST_CASE_TEMPLATE("digit poolers give their gradients where rows are wider than a few registers",
                   P, Mean, MeanPlusMlp) {
  DigitShape<typename P::Config> shape{33, 3, {}};
  if constexpr (requires { shape.own.hidden; }) {
    shape.own = {.hidden = 1, .scale = 0.5};
  }
  simgr_test::check_gradients<OverTable<P>>(shape, 11, 33);
}

TEST_CASE("the MLP over digits gives the same for many items at once as for a few at a time") {
  using P = MeanPlusMlp;
  const Index items = 2 * P::tile + 5, width = 6;
  const DigitShape<P::Config> shape{width, 3, {}};
  std::vector<std::int32_t> codes;
  for (Index i = 0; i < 3 * items; ++i) {
    codes.push_back(static_cast<std::int32_t>((i * i + 7 * i) % 11));
  }
  const Matrix<const std::int32_t> all(codes.data(), {items, 3});
  const Index size = describe<OverTable<P>>(shape).block_size;
  std::vector<double> weights = simgr_test::random_values(size, 1);
  const auto params = bind<OverTable<P>>(shape, weights.data());
  const std::vector<double> x = simgr_test::random_values(11 * width, 2),
                            dy = simgr_test::random_values(items * width, 3);
  const MatrixArg<double> table(x.data(), {11, width}), dvectors(dy.data(), {items, width});
  Arena arena;
  cpu::Context ctx{arena};
  const auto run = [&](Index at_once) {
    std::vector<double> out(dy.size()), gradient(static_cast<std::size_t>(size)), dx(x.size());
    const auto grads = bind<OverTable<P>>(shape, gradient.data());
    for (Index first = 0; first < items; first += at_once) {
      const Index count = std::min(at_once, items - first);
      P::Cache<double> cache;
      const Matrix<double> vectors =
          P::forward(shape, params, table, all.slice(first, count), cache, ctx);
      std::copy(vectors.begin(), vectors.end(), out.begin() + first * width);
      P::backward(shape, params, grads, table, all.slice(first, count),
                  MatrixArg<double>(dvectors.slice(first, count)), {dx.data(), {11, width}}, cache,
                  ctx);
    }
    out.insert(out.end(), gradient.begin(), gradient.end());
    out.insert(out.end(), dx.begin(), dx.end());
    return out;
  };
  const std::vector<double> whole = run(items), parts = run(7);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CHECK(whole[i] == doctest::Approx(parts[i]).epsilon(1e-11));
  }
}

TEST_CASE_TEMPLATE("equal digits make equal items", P, Mean, MeanPlusMlp, DigitAttention,
                   DigitGate) {
  const DigitShape<typename P::Config> shape{5, 3, {}};
  const ParameterTable table = describe<OverTable<P>>(shape);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 1);
  const auto params = bind<OverTable<P>>(shape, weights.data());
  const std::vector<double> x = simgr_test::random_values(55, 2);
  Arena arena;
  cpu::Context ctx{arena};
  typename P::template Cache<double> cache;
  const Matrix<double> vectors =
      P::forward(shape, params, MatrixArg<double>(x.data(), {11, 5}), rows, cache, ctx);
  double apart = 0;
  for (Index j = 0; j < 5; ++j) {
    CHECK(vectors(0, j) == doctest::Approx(vectors(6, j)).epsilon(1e-13));
    apart += std::abs(vectors(0, j) - vectors(1, j));
  }
  CHECK(apart > 1e-3);
}
