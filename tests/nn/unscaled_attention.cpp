// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/unscaled_attention.hpp>

#include <support/gradient_check.hpp>

#include <simgr/nn/relative_position.hpp>

using namespace simgr;

namespace {

const std::vector<Index> own_rows{0, 3, 4, 8};

/// Self-attention with a table of distances.
template <class Mask>
struct WithDistances {
  using Attention = UnscaledAttention<Mask>;
  struct Config {
    typename Attention::Config attention;
    RelativePosition::Config position;
  };
  template <class T, class S = Host>
  struct Params {
    typename Attention::template Params<T, S> attention;
    RelativePosition::Params<T, S> position;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Attention::template Cache<T, S> attention;
    RelativePosition::Cache<T, S> position;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Attention::for_each_parameter(c.attention, under("attention", f), p.attention...);
    RelativePosition::for_each_parameter(c.position, under("position", f), p.position...);
  }
};

}  // namespace

TEST_CASE_TEMPLATE("unscaled self-attention gives its gradients and those of the distances", Mask,
                   Causal, Bidirectional) {
  using Layer = WithDistances<Mask>;
  using Attention = typename Layer::Attention;
  for (const double rate : {0.0, 0.3}) {
    const typename Layer::Config c{{.width = 5, .heads = 2, .head_width = 3, .dropout = rate},
                                   {.heads = 2,
                                    .buckets = 8,
                                    .farthest = 9,
                                    .bidirectional = std::is_same_v<Mask, Bidirectional>}};
    Index longest = longest_sequence(own_rows);
    simgr_test::check_gradients<Layer>(
        c, 8, 5,
        [&](const auto& p, auto x, auto& cache, auto& ctx) {
          const auto relative =
              RelativePosition::forward(c.position, p.position, longest, cache.position, ctx);
          return Attention::forward(c.attention, p.attention, x, x, own_rows, own_rows, relative,
                                    cache.attention, ctx);
        },
        [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
          const auto drelative = ctx.template take<double>(2, 2 * longest - 1);
          fill(ctx, drelative, 0.0);
          const auto dx = Attention::backward(c.attention, p.attention, g.attention, dy, own_rows,
                                              own_rows, {}, drelative, cache.attention, ctx);
          RelativePosition::backward(c.position, p.position, g.position, drelative, cache.position,
                                     ctx);
          return dx;
        });
  }
}

TEST_CASE("unscaled attention to a memory gives the gradients of both sides") {
  using Layer = UnscaledAttention<Bidirectional>;
  const std::vector<Index> memory_rows{0, 2, 7, 8};
  const Layer::Config c{.width = 5, .heads = 3, .head_width = 2, .dropout = .2};
  simgr_test::check_gradients<Layer>(
      c, 16, 5,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return Layer::forward(c, p, MatrixArg<double>(x.slice(0, 8)),
                              MatrixArg<double>(x.slice(8, 8)), own_rows, memory_rows, {}, cache,
                              ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        const Matrix<double> both = ctx.template take<double>(16, 5);
        fill(ctx, both, 0.0);
        copy(ctx,
             Layer::backward(c, p, g, dy, own_rows, memory_rows, both.slice(8, 8), {}, cache, ctx),
             both.slice(0, 8), Write::assign);
        return both;
      });
}
