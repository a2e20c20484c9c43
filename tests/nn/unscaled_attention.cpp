// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/unscaled_attention.hpp>

#include <numeric>
#include <vector>

#include <support/gradient_check.hpp>
#include <support/parts_of_a_pass.hpp>

#include <simgr/nn/relative_position.hpp>

using namespace simgr;
using simgr_test::PassOutcome;

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

TEST_CASE_TEMPLATE("unscaled attention gives the same for sequences that go through it by groups",
                   Mask, Causal, Bidirectional) {
  using Attention = UnscaledAttention<Mask>;
  // Groups of at most sixteen tokens of doubles.
  const typename Attention::Config c{.width = 3, .heads = 2, .head_width = 2048, .dropout = .25};
  const std::vector<Index> offsets{0, 6, 7, 13, 33, 38, 42}, others{0, 2, 19, 20, 26, 35, 39};
  const bool to_memory = std::is_same_v<Mask, Bidirectional>;  // and else to itself
  const Index rows = offsets.back();
  const ParameterTable table = describe<Attention>(c);
  std::vector<double> weights = simgr_test::random_block(table, 3, 0.02);
  const auto p = bind<Attention>(c, weights.data());
  std::vector<double> x = simgr_test::random_values(rows * c.width, 4),
                      dy = simgr_test::random_values(rows * c.width, 5),
                      memory = simgr_test::random_values(others.back() * c.width, 6);

  const auto run = [&](std::size_t sequence, std::size_t count, bool training) {
    PassOutcome outcome;
    Arena arena;
    cpu::Context ctx{arena, training, 9};
    outcome.gradient.resize(static_cast<std::size_t>(table.block_size));
    const auto grad = bind<Attention>(c, outcome.gradient.data());
    const auto places = [&](const std::vector<Index>& all) {
      std::vector<Index> own;
      for (std::size_t s = sequence; s <= sequence + count; ++s) {
        own.push_back(all[s] - all[sequence]);
      }
      return own;
    };
    const auto part = [&](std::vector<double>& all, const std::vector<Index>& of) {
      return MatrixArg<double>(all.data() + of[sequence] * c.width,
                               {of[sequence + count] - of[sequence], c.width});
    };
    const std::vector<Index>& of_keys = to_memory ? others : offsets;
    const std::vector<Index> own = places(offsets), theirs = places(of_keys);
    typename Attention::template Cache<double> cache;
    const auto y = Attention::template forward<double, Host>(
        c, p, part(x, offsets), part(to_memory ? memory : x, of_keys), own, theirs, {}, cache, ctx);
    Matrix<double> dmemory;
    if (to_memory) {
      dmemory = ctx.template take<double>(theirs.back(), c.width);
      fill(ctx, dmemory, 0.0);
    }
    const auto dx = Attention::template backward<double, Host>(c, p, grad, part(dy, offsets), own,
                                                               theirs, dmemory, {}, cache, ctx);
    outcome.dmemory.assign(dmemory.begin(), dmemory.end());
    outcome.y.assign(y.begin(), y.end());
    outcome.dx.assign(dx.begin(), dx.end());
    return outcome;
  };

  const PassOutcome whole = run(0, 6, false);
  PassOutcome parts;
  for (std::size_t s = 0; s < 6; ++s) { parts.append(run(s, 1, false)); }
  simgr_test::check_alike(whole, parts);

  // y is linear in the output map and in the values' half of the other: backward saw the masks of
  // forward.
  const PassOutcome dropped = run(0, 6, true);
  CHECK_FALSE(simgr_test::alike(dropped.y, whole.y));
  const auto product = [](const double* a, const double* b, Index count) {
    return std::inner_product(a, a + count, b, 0.0);
  };
  const double expected = product(dropped.y.data(), dy.data(), rows * c.width);
  for (const TensorEntry& tensor : table.tensors) {
    if (tensor.name != "query.weight") {
      CAPTURE(tensor.name);
      const Index half = tensor.name == "key_value.weight" ? tensor.size / 2 : 0;
      CHECK(product(dropped.gradient.data() + tensor.offset + half,
                    weights.data() + tensor.offset + half,
                    tensor.size - half) == doctest::Approx(expected));
    }
  }
}
