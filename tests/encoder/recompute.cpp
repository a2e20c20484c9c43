// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/block_stack.hpp>

#include <support/gradient_check.hpp>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/masked_lm.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/nn/relative_stack.hpp>

using namespace simgr;

namespace {

/// What a training step of an encoder leaves, and the memory that it took.
template <class T>
struct StepOutcome {
  std::vector<T> states, gradients, row_gradients;
  std::uint32_t streams = 0;
  std::size_t bytes = 0;
};

/// 512 tokens in histories of some lengths, among them 1.
struct LongHistories {
  static constexpr Index tokens = 512, rows = 40;
  std::vector<std::int32_t> values;
  std::vector<Index> offsets{0, 1, 129, 200, 456, 512};

  LongHistories() {
    for (Index i = 0; i < tokens; ++i) {
      values.push_back(static_cast<std::int32_t>((i * i + 7 * i) % rows));
    }
  }
};

template <class T>
std::vector<T> drawn(Index count, std::uint64_t seed, double deviation) {
  const std::vector<double> values = simgr_test::random_values(count, seed, deviation);
  return {values.begin(), values.end()};
}

template <class E, class T, class Forward, class Backward>
StepOutcome<T> train_once(const typename E::Config& config, Forward&& forward,
                          Backward&& backward) {
  const ParameterTable table = describe<E>(config);
  std::vector<T> weights = drawn<T>(table.block_size, 1, 0.1);
  StepOutcome<T> outcome;
  outcome.gradients.resize(weights.size());
  outcome.row_gradients.resize(static_cast<std::size_t>(LongHistories::rows * config.width));
  const auto params = bind<E>(config, weights.data());
  const auto grads = bind<E>(config, outcome.gradients.data());
  Arena arena;
  cpu::Context ctx{arena, true, 7, 3};
  typename E::template Cache<T> cache;
  const Matrix<T> y = forward(params, cache, ctx);
  outcome.states.assign(y.begin(), y.end());
  const std::vector<T> dy = drawn<T>(y.size(), 3, 1);
  backward(params, grads, Matrix<const T>(dy.data(), y.shape()),
           Matrix<T>(outcome.row_gradients.data(), {LongHistories::rows, config.width}), cache,
           ctx);
  outcome.streams = ctx.stream;
  outcome.bytes = arena.high_water();
  return outcome;
}

template <class E, class T>
StepOutcome<T> train_on_histories(const typename E::Config& config) {
  const LongHistories histories;
  const std::vector<T> rows = drawn<T>(LongHistories::rows * config.width, 2, 1);
  return train_once<E, T>(
      config,
      [&](const auto& p, auto& cache, auto& ctx) {
        return E::forward(config, p,
                          Matrix<const T>(rows.data(), {LongHistories::rows, config.width}),
                          ItemsView<>{LongHistories::rows, {}},
                          RaggedView<ItemId>{histories.values, histories.offsets}, cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, auto drows, const auto& cache, auto& ctx) {
        E::backward(config, p, g, dy, drows, cache, ctx);
      });
}

template <class T>
void check_same_step(const StepOutcome<T>& kept, const StepOutcome<T>& computed_twice) {
  CHECK(kept.states == computed_twice.states);
  CHECK(kept.gradients == computed_twice.gradients);
  CHECK(kept.row_gradients == computed_twice.row_gradients);
  CHECK(kept.streams == computed_twice.streams);
  CHECK(computed_twice.bytes < kept.bytes / 4);
}

template <class E>
typename E::Config deep() {
  typename E::Config config;
  config.width = 24;
  config.layers = 12;
  config.heads = 4;
  config.inner = 64;
  config.dropout = 0.2;
  config.attention_dropout = 0.1;
  return config;
}

}  // namespace

TEST_CASE_TEMPLATE("recomputed blocks have the same states and gradients, bit for bit", E,
                   TransformerEncoder<ItemEmbedding, Causal>,
                   TransformerEncoder<ItemEmbedding, Bidirectional, PostNorm>,
                   CausalLm<ItemEmbedding>, CausalLm<ItemEmbedding, Lora<Linear>>) {
  auto config = deep<E>();
  config.max_length = 256;
  config.catalogue.items = LongHistories::rows;
  if constexpr (requires { config.kv_heads; }) {
    config.kv_heads = 2;
    config.adapters.dropout = 0.3;
  }
  const auto kept = train_on_histories<E, float>(config);
  config.recompute = true;
  check_same_step(kept, train_on_histories<E, float>(config));
}

TEST_CASE("MaskedLm: recomputed blocks have the same states and gradients, bit for bit") {
  using E = MaskedLm<>;
  auto config = deep<E>();
  config.vocabulary = LongHistories::rows;
  config.positions = 256;
  const LongHistories texts;
  const auto step = [&] {
    return train_once<E, float>(
        config,
        [&](const auto& p, auto& cache, auto& ctx) {
          return E::forward(config, p, RaggedView<std::int32_t>{texts.values, texts.offsets}, {},
                            cache, ctx);
        },
        [&](const auto& p, const auto& g, auto dy, auto, const auto& cache, auto& ctx) {
          E::backward(config, p, g, dy, cache, ctx);
        });
  };
  const auto kept = step();
  config.recompute = true;
  check_same_step(kept, step());
}

TEST_CASE_TEMPLATE("stacks of T5: recomputed blocks have the same states and gradients", E,
                   RelativeStack<Bidirectional, FeedForward<Relu>>,
                   RelativeStack<Causal, FeedForward<GeluTanh, Gated>>) {
  typename E::Config config{24, 12, 4, 6, 64, 8, 20, 0.2};
  const LongHistories histories;
  const std::vector<float> x = drawn<float>(LongHistories::tokens * 24, 2, 1), memory = x;
  const std::vector<Index> memory_offsets{0, 100, 101, 112, 400, 512};
  const auto step = [&] {
    std::vector<float> dmemory(memory.size());
    auto outcome = train_once<E, float>(
        config,
        [&](const auto& p, auto& cache, auto& ctx) {
          const Matrix<float> own = ctx.template take<float>(LongHistories::tokens, 24);
          std::copy(x.begin(), x.end(), own.begin());  // dropout acts on it
          return E::forward(config, p, own, histories.offsets,
                            {MatrixArg<float>(memory.data(), own.shape()), memory_offsets}, cache,
                            ctx);
        },
        [&](const auto& p, const auto& g, auto dy, auto, const auto& cache, auto& ctx) {
          E::backward(config, p, g, dy, Matrix<float>(dmemory.data(), dy.shape()), cache, ctx);
        });
    outcome.row_gradients = dmemory;
    return outcome;
  };
  const auto kept = step();
  config.recompute = true;
  check_same_step(kept, step());
}
