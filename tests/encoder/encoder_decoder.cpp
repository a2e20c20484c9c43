// SPDX-License-Identifier: Apache-2.0
#include <simgr/encoder/encoder_decoder.hpp>

#include <support/whole_model.hpp>

#include <simgr/encoder/semantic_embedding.hpp>

using namespace simgr;

namespace {

template <class Net>
struct Spelling {
  using E = EncoderDecoder<SemanticEmbedding, Net>;
  simgr_test::ToyWorld world;
  typename E::Config config;
  ParameterTable table;
  std::vector<double> weights, gradients;
  typename E::template Params<double> p, grad;
  Arena arena;

  explicit Spelling(double dropout = 0, double spread = 0.4) {
    config.width = 5;
    config.layers = 2;
    config.decoder_layers = 1;
    config.heads = 2;
    config.head_width = 3;
    config.inner = 7;
    config.buckets = 8;
    config.farthest = 9;
    config.dropout = dropout;
    config.catalogue = world.sizes;
    REQUIRE(E::check(config).empty());
    table = describe<E>(config);
    weights = simgr_test::random_values(table.block_size, 1, spread);
    gradients.resize(weights.size());
    p = bind<E>(config, weights.data());
    grad = bind<E>(config, gradients.data());
  }
  RaggedView<ItemId> history() const { return {world.history, world.offsets}; }
  Matrix<double> states(typename E::template Cache<double>& cache, cpu::Context& ctx) {
    return E::forward_targets(config, p, p.embedding.table, world.items(), history(), world.last,
                              cache, ctx);
  }
};

}  // namespace

TEST_CASE_TEMPLATE("the encoder-decoder gives the gradients of its states", Net, FeedForward<Relu>,
                   FeedForward<GeluTanh, Gated>) {
  for (const double dropout : {0.0, 0.2}) {
    Spelling<Net> s(dropout);
    using E = typename Spelling<Net>::E;
    std::vector<double> projection;
    {
      cpu::Context ctx{s.arena, true, 7, 3};
      typename E::template Cache<double> cache;
      const Matrix<double> y = s.states(cache, ctx);
      REQUIRE(y.rows() == 9);
      projection = simgr_test::random_values(y.size(), 3);
      E::backward_targets(s.config, s.p, s.grad, MatrixArg<double>(projection.data(), y.shape()),
                          s.grad.embedding.table, cache, ctx);
    }
    std::vector<simgr_test::Block> blocks;
    for (const TensorEntry& tensor : s.table.tensors) {
      const auto at = static_cast<std::size_t>(tensor.offset),
                 size = static_cast<std::size_t>(tensor.size);
      blocks.push_back({tensor.name, std::span(s.weights).subspan(at, size),
                        std::span<const double>(s.gradients).subspan(at, size)});
    }
    simgr_test::compare_with_differences(
        blocks,
        [&] {
          s.arena.reset();
          cpu::Context ctx{s.arena, true, 7, 3};
          typename E::template Cache<double> cache;
          const Matrix<double> y = s.states(cache, ctx);
          double sum = 0;
          for (Index i = 0; i < y.size(); ++i) {
            sum += y.data()[i] * projection[static_cast<std::size_t>(i)];
          }
          return sum;
        },
        1e-7);
  }
}

TEST_CASE("a state has read the history and the digits before its own, and nothing else") {
  Spelling<FeedForward<Relu>> s;
  using E = decltype(s)::E;
  cpu::Context ctx{s.arena};
  E::Cache<double> cache;
  const Matrix<double> y = s.states(cache, ctx);
  s.world.last[1] = 0;  // digits 0 4 8 and not 2 6 10 … of the second target
  const Matrix<double> other = s.states(cache, ctx);
  for (Index i = 0; i < y.rows(); ++i) {
    double gap = 0;
    for (Index c = 0; c < y.cols(); ++c) { gap = std::max(gap, std::abs(y(i, c) - other(i, c))); }
    if (i == 4 || i == 5) {
      CHECK(gap > 1e-3);
    } else {
      CHECK(gap == 0);
    }
  }
}

TEST_CASE("permuting histories permutes states, and dividing the batch divides them") {
  Spelling<FeedForward<Relu>> s;
  using E = decltype(s)::E;
  cpu::Context ctx{s.arena};
  E::Cache<double> cache;
  const Matrix<double> y = s.states(cache, ctx);
  for (const Index sequence : {2, 0, 1}) {
    const auto own = s.history()[sequence];
    const std::vector<Index> offsets{0, static_cast<Index>(own.size())};
    const Matrix<double> alone = E::forward_targets(
        s.config, s.p, s.p.embedding.table, s.world.items(), {own, offsets},
        std::span<const ItemId>(s.world.last).subspan(static_cast<std::size_t>(sequence), 1), cache,
        ctx);
    for (Index i = 0; i < alone.size(); ++i) {
      CHECK(alone.data()[i] == doctest::Approx(y.row(3 * sequence).data()[i]).epsilon(1e-12));
    }
  }
}

TEST_CASE("decoding step by step gives the states of the whole pass") {
  Spelling<FeedForward<GeluTanh, Gated>> s;
  using E = decltype(s)::E;
  cpu::Context ctx{s.arena};
  // Every item under every history, as one tree each.
  const ItemsView<> items = s.world.items();
  E::State<double> state;
  const MatrixArg<double> rows = s.p.embedding.table;
  std::vector<Matrix<double>> found{E::begin(s.config, s.p, rows, items, s.history(), state, ctx)};
  std::vector<std::int32_t> parents, tokens;
  for (Index level = 1; level < s.world.sizes.digits; ++level) {
    parents.clear();
    tokens.clear();
    for (std::int32_t sequence = 0; sequence < 3; ++sequence) {
      for (std::int32_t item = 0; item < 7; ++item) {
        parents.push_back(level == 1 ? sequence : sequence * 7 + item);
        tokens.push_back(items.digit_rows(item, level - 1));
      }
    }
    found.push_back(E::step(s.config, s.p, rows, level, parents, tokens, state, ctx));
  }
  E::Cache<double> cache;
  for (ItemId item = 0; item < 7; ++item) {
    s.world.last.assign(3, item);
    const Matrix<double> whole = s.states(cache, ctx);
    for (Index sequence = 0; sequence < 3; ++sequence) {
      for (Index level = 0; level < 3; ++level) {
        const auto expected = whole.row(3 * sequence + level);
        const auto own =
            found[static_cast<std::size_t>(level)].row(level == 0 ? sequence : sequence * 7 + item);
        for (Index c = 0; c < 5; ++c) {
          CHECK(own[c] == doctest::Approx(expected[c]).epsilon(1e-12));
        }
      }
    }
  }
}
