// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/relative_stack.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

const std::vector<Index> stack_rows{0, 3, 4, 8}, stack_memory{0, 2, 7, 8};

template <class Stack>
typename Stack::Config tiny_stack(double dropout) {
  return {.width = 5,
          .layers = 2,
          .heads = 2,
          .head_width = 3,
          .inner = 7,
          .buckets = 8,
          .farthest = 9,
          .dropout = dropout};
}
Matrix<double> copied(MatrixArg<double> x, cpu::Context& ctx) {
  const Matrix<double> own = ctx.take<double>(x.rows(), x.cols());
  copy(ctx, x, own, Write::assign);
  return own;
}

}  // namespace

TEST_CASE_TEMPLATE("encoder stacks give the gradients of their forward pass", Net,
                   FeedForward<Relu>, FeedForward<GeluTanh, Gated>) {
  using Stack = RelativeStack<Bidirectional, Net>;
  for (const double dropout : {0.0, 0.2}) {
    const auto c = tiny_stack<Stack>(dropout);
    // Two whole blocks bend more than a layer: small weights keep differences within 1e-8.
    simgr_test::check_gradients<Stack>(
        c, 8, 5,
        [&](const auto& p, auto x, auto& cache, auto& ctx) {
          return Stack::forward(c, p, copied(x, ctx), stack_rows, {}, cache, ctx);
        },
        [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
          return Stack::backward(c, p, g, dy, {}, cache, ctx);
        },
        1e-8, 0.3);
  }
}

TEST_CASE_TEMPLATE("decoder stacks give the gradients of their rows and of their memory", Stack,
                   RelativeStack<Causal, FeedForward<Relu>>,
                   RelativeStack<Causal, FeedForward<GeluTanh, Gated>>,
                   RelativeStack<Isolated, FeedForward<Relu>>) {
  for (const double dropout : {0.0, 0.2}) {
    const auto c = tiny_stack<Stack>(dropout);
    simgr_test::check_gradients<Stack>(
        c, 16, 5,
        [&](const auto& p, auto x, auto& cache, auto& ctx) {
          return Stack::forward(c, p, copied(x.slice(0, 8), ctx), stack_rows,
                                {x.slice(8, 8), stack_memory}, cache, ctx);
        },
        [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
          const Matrix<double> both = ctx.template take<double>(16, 5);
          fill(ctx, both, 0.0);
          copy(ctx, Stack::backward(c, p, g, dy, both.slice(8, 8), cache, ctx), both.slice(0, 8),
               Write::assign);
          return both;
        },
        1e-8, 0.3);
  }
}

TEST_CASE("tokens that share a position give gradients, and may change places") {
  using Stack = RelativeStack<Bidirectional, FeedForward<Relu>>;
  auto c = tiny_stack<Stack>(0);
  c.tokens_per_position = 3;
  const std::vector<Index> rows{0, 6, 9, 18};
  simgr_test::check_gradients<Stack>(
      c, 18, 5,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return Stack::forward(c, p, copied(x, ctx), rows, {}, cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        return Stack::backward(c, p, g, dy, {}, cache, ctx);
      },
      1e-8, 0.3);
  std::vector<double> weights = simgr_test::random_values(describe<Stack>(c).block_size, 3);
  const auto p = bind<Stack>(c, weights.data());
  const std::vector<double> x = simgr_test::random_values(18 * 5, 4);
  Arena arena;
  cpu::Context ctx{arena};
  const auto states = [&](const std::vector<Index>& order) {
    const Matrix<double> ordered = ctx.take<double>(18, 5);
    for (Index i = 0; i < 18; ++i) {
      copy(ctx, Matrix<const double>(x.data(), {18, 5}).row(order[static_cast<std::size_t>(i)]),
           ordered.row(i), Write::assign);
    }
    Stack::Cache<double> cache;
    return Stack::forward(c, p, ordered, rows, {}, cache, ctx);
  };
  const std::vector<Index> as_is{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
  const std::vector<Index> moved{2, 0, 1, 3, 5, 4, 6, 7, 8, 10, 9, 11, 14, 13, 12, 15, 16, 17};
  const std::vector<Index> places{0, 4, 2, 3, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
  const Matrix<double> before = states(as_is), after = states(moved), other = states(places);
  double apart = 0, apart_across = 0;
  for (Index i = 0; i < 18; ++i) {
    for (Index k = 0; k < 5; ++k) {
      const auto at = static_cast<std::size_t>(i);
      apart = std::max(apart, std::abs(after(i, k) - before(moved[at], k)));
      apart_across = std::max(apart_across, std::abs(other(i, k) - before(places[at], k)));
    }
  }
  CHECK(apart < 1e-12);
  CHECK(apart_across > 1e-3);  // what changes the position of a token changes its state
}
