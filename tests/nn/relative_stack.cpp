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

TEST_CASE_TEMPLATE("decoder stacks give the gradients of their rows and of their memory", Net,
                   FeedForward<Relu>, FeedForward<GeluTanh, Gated>) {
  using Stack = RelativeStack<Causal, Net>;
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
