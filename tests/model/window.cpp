// SPDX-License-Identifier: Apache-2.0
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/window_encoder.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/nn/hierarchical_gating.hpp>
#include <simgr/nn/window_convolution.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

using namespace simgr;

namespace {

/// What the convolutions are defined as, over a window with zeros before the sequence.
std::vector<double> padded_maxima(Index window, Index filters, const std::vector<double>& weights,
                                  const std::vector<double>& bias, const std::vector<double>& x,
                                  Index width) {
  const auto at = [](const std::vector<double>& v, Index i) {
    return v[static_cast<std::size_t>(i)];
  };
  std::vector<double> image(static_cast<std::size_t>(window * width) - x.size(), 0.0);
  image.insert(image.end(), x.begin(), x.end());
  std::vector<double> maxima;
  Index first = 0;
  for (Index height = 1; height <= window; ++height) {
    for (Index f = 0; f < filters; ++f, first += height * width) {
      double largest = 0;
      for (Index w = 0; w + height <= window; ++w) {
        double sum = at(bias, (height - 1) * filters + f);
        for (Index i = 0; i < height * width; ++i) {
          sum += at(weights, first + i) * at(image, w * width + i);
        }
        largest = std::max(largest, sum);
      }
      maxima.push_back(largest);
    }
  }
  return maxima;
}

}  // namespace

TEST_CASE("horizontal filters see zeros before a short history") {
  const Index window = 4, filters = 2, width = 3;
  const std::vector<Index> offsets{0, 1, 5, 5, 7};
  const std::vector<double> weights = simgr_test::random_values(filters * 10 * width, 1),
                            bias = simgr_test::random_values(filters * window, 2),
                            x = simgr_test::random_values(7 * width, 3);
  Arena arena;
  cpu::Context ctx{arena};
  const Matrix<double> slices = ctx.take<double>(7, filters * 10),
                       y = ctx.take<double>(4, filters * window);
  const Matrix<std::int32_t> best = ctx.take<std::int32_t>(4, filters * window);
  gemm_nt(ctx, MatrixArg<double>(x.data(), {7, width}),
          MatrixArg<double>(weights.data(), {filters * 10, width}), slices, Write::assign);
  horizontal_maxima(ctx, filters, slices, VectorArg<double>(bias.data(), {filters * window}),
                    offsets, y, best);
  for (Index s = 0; s < 4; ++s) {
    const auto at = static_cast<std::size_t>(s);
    const std::vector<double> expected = padded_maxima(
        window, filters, weights, bias,
        {x.begin() + offsets[at] * width, x.begin() + offsets[at + 1] * width}, width);
    for (Index c = 0; c < filters * window; ++c) {
      CHECK(y(s, c) == doctest::Approx(expected[static_cast<std::size_t>(c)]).epsilon(1e-12));
    }
  }
}

TEST_CASE("vertical filters and gates of a short history are those of its last places") {
  const Index window = 4, width = 3;
  const std::vector<Index> offsets{0, 1, 5, 7};
  const std::vector<double> x = simgr_test::random_values(7 * width, 3),
                            u = simgr_test::random_values(3 * width, 4),
                            filters = simgr_test::random_values(2 * window, 5),
                            bias = simgr_test::random_values(2, 6);
  const MatrixArg<double> rows(x.data(), {7, width}), users(u.data(), {3, width}),
      weight(filters.data(), {2, window});
  Arena arena;
  cpu::Context ctx{arena};
  const HierarchicalGating::Config config{.width = width, .window = window};
  std::vector<double> weights =
      simgr_test::random_block(describe<HierarchicalGating>(config), 1, .5);
  const auto p = bind<HierarchicalGating>(config, weights.data());
  HierarchicalGating::Cache<double> cache;
  const Matrix<double> y = HierarchicalGating::forward(config, p, rows, users, offsets, cache, ctx);
  const Matrix<double> v = ctx.take<double>(3, 2 * width);
  vertical_filters(ctx, weight, VectorArg<double>(bias.data(), {2}), rows, offsets, v);

  const auto sigmoid = [](double z) { return 1 / (1 + std::exp(-z)); };
  for (Index s = 0; s < 3; ++s) {
    const Index first = offsets[static_cast<std::size_t>(s)],
                end = offsets[static_cast<std::size_t>(s) + 1];
    std::vector<double> pooled(static_cast<std::size_t>(width)), sum(pooled);
    double gates = 0;
    for (Index t = first; t < end; ++t) {
      std::vector<double> gated;
      double score = 0;
      for (Index c = 0; c < width; ++c) {
        double open = p.user.bias[c];
        for (Index i = 0; i < width; ++i) {
          open += rows(t, i) * p.item.weight(c, i) + users(s, i) * p.user.weight(c, i);
        }
        gated.push_back(rows(t, c) * sigmoid(open));
        score += gated.back() * p.instance_item(0, c) +
                 users(s, c) * p.instance_user(c, window - end + t);
        sum[static_cast<std::size_t>(c)] += rows(t, c);
      }
      gates += sigmoid(score);
      for (std::size_t c = 0; c < gated.size(); ++c) { pooled[c] += sigmoid(score) * gated[c]; }
    }
    for (Index c = 0; c < width; ++c) {
      const auto at = static_cast<std::size_t>(c);
      CHECK(y(s, c) == doctest::Approx(users(s, c) + pooled[at] / gates + sum[at]).epsilon(1e-12));
      for (Index f = 0; f < 2; ++f) {
        double expected = bias[static_cast<std::size_t>(f)];
        for (Index t = first; t < end; ++t) {
          expected += weight(f, window - end + t) * rows(t, c);
        }
        CHECK(v(s, f * width + c) == doctest::Approx(expected).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("HGN gives the gradient of every weight") {
  using E = WindowEncoder<ItemEmbedding, HierarchicalGating>;
  typename E::Config c;
  c.width = 4;
  c.window = 3;
  simgr_test::check_whole_model<E, LastPosition, InnerProduct<OwnItems>, ItemCrossEntropy<>>(
      {.encoder = c});
  simgr_test::check_whole_model<E, LastPosition, InnerProduct<OwnItems>, Bpr<UniformNegatives<3>>>(
      {.encoder = c, .loss = {.epsilon = 1e-3}});
}

TEST_CASE("Caser gives the gradient of every weight") {
  using E = WindowEncoder<ItemEmbedding, WindowConvolution>;
  typename E::Config c;
  c.width = 4;
  c.window = 3;
  c.reader = {.vertical = 2, .horizontal = 2, .dropout = .1};
  simgr_test::check_whole_model<E, LastPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>(
      {.encoder = c});
}
