// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/model_memory.hpp>

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/cpu/cpu.hpp>
#include <simgr/nn/block.hpp>
#include <simgr/nn/relative_block.hpp>
#include <simgr/nn/rotary_block.hpp>

namespace {

using namespace simgr;

constexpr Index measured_texts = 2, measured_length = 32, measured_layers = 64;

/// What a layer takes from the arena for forward and backward, in numbers a token.
template <class Layer, class Forward, class Backward>
double measured_numbers(const typename Layer::Config& config, Index width, Forward&& forward,
                        Backward&& backward) {
  const Index tokens = measured_texts * measured_length;
  const ParameterTable table = describe<Layer>(config);
  std::vector<float> weights(static_cast<std::size_t>(table.block_size), 0.01f),
      gradients(weights.size()), x(static_cast<std::size_t>(tokens * width), 0.5f), dy = x;
  const auto params = bind<Layer>(config, weights.data());
  const auto grad = bind<Layer>(config, gradients.data());
  std::vector<Index> offsets;
  for (Index i = 0; i <= measured_texts; ++i) { offsets.push_back(i * measured_length); }
  Arena arena;
  cpu::Context ctx{arena, true};
  // Several layers, because what backward takes and gives back counts once.
  std::vector<typename Layer::template Cache<float>> caches(measured_layers);
  const Shape<2> shape{tokens, width};
  for (auto& cache : caches) {
    forward(params, MatrixArg<float>(x.data(), shape), Offsets(offsets), cache, ctx);
  }
  for (const auto& cache : caches) {
    backward(params, grad, MatrixArg<float>(dy.data(), shape), Offsets(offsets), cache, ctx);
  }
  return static_cast<double>(arena.high_water()) / sizeof(float) / measured_layers /
         static_cast<double>(tokens);
}

template <class Block>
double measured_block(const typename Block::Config& config, Index width) {
  return measured_numbers<Block>(
      config, width,
      [&](const auto& p, auto x, Offsets offsets, auto& cache, auto& ctx) {
        Block::forward(config, p, x, offsets, cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, Offsets offsets, auto& cache, auto& ctx) {
        Block::backward(config, p, g, dy, offsets, cache, ctx);
      });
}

template <class Mask, class Net>
double measured_relative(const io::LanguageModelFacts& facts) {
  using Block = RelativeBlock<Mask, Net>;
  const typename Block::Config config{facts.width, facts.heads, facts.head_width, facts.inner};
  const Index tokens = measured_texts * measured_length, distances = 2 * measured_length - 1;
  std::vector<float> memory(static_cast<std::size_t>(tokens * facts.width), 0.1f),
      dmemory(memory.size()), relative(static_cast<std::size_t>(facts.heads * distances), 0.1f),
      drelative(relative.size());
  const Shape<2> shape{tokens, facts.width}, table{facts.heads, distances};
  return measured_numbers<Block>(
      config, facts.width,
      [&](const auto& p, auto x, Offsets offsets, auto& cache, auto& ctx) {
        Block::forward(config, p, x, offsets, {MatrixArg<float>(memory.data(), shape), offsets},
                       MatrixArg<float>(relative.data(), table), cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, Offsets offsets, auto& cache, auto& ctx) {
        Block::backward(config, p, g, dy, offsets, offsets, Matrix<float>(dmemory.data(), shape),
                        Matrix<float>(drelative.data(), table), cache, ctx);
      });
}

}  // namespace

TEST_CASE("the memory of a training step is what the layers take" * doctest::test_suite("heavy")) {
  io::LanguageModelFacts facts;
  facts.layers = 1;
  facts.vocabulary = 10;
  const auto check = [&](double measured) {
    const double said = io::numbers_in_training(facts, measured_length);
    CAPTURE(said);
    CAPTURE(measured);
    CHECK(said == doctest::Approx(measured).epsilon(0.02));
  };
  struct Extents {
    Index width, heads, key_value_heads, head_width, inner;
  };
  for (const Extents& extents :
       {Extents{64, 4, 2, 16, 96}, Extents{48, 8, 8, 6, 320}, Extents{256, 2, 1, 64, 128}}) {
    facts.width = extents.width;
    facts.heads = extents.heads;
    facts.inner = extents.inner;
    facts.head_width = extents.head_width;
    for (const bool normed : {false, true}) {
      facts.family = normed ? io::LanguageFamily::qwen3 : io::LanguageFamily::qwen2;
      facts.key_value_heads = extents.key_value_heads;
      facts.query_key_norm = normed;
      RotaryBlock<>::Config config{};
      config.attention = {.width = extents.width,
                          .heads = extents.heads,
                          .kv_heads = extents.key_value_heads,
                          .head_width = extents.head_width,
                          .normed = normed};
      config.inner = extents.inner;
      check(measured_block<RotaryBlock<>>(config, extents.width));
    }
    facts.family = io::LanguageFamily::gpt2;
    check(measured_block<TransformerBlock<Causal, PreNorm, GeluTanh>>(
        {extents.width, extents.heads, extents.inner}, extents.width));
    facts.family = io::LanguageFamily::bert;
    check(measured_block<TransformerBlock<Bidirectional, PostNorm, GeluErf>>(
        {extents.width, extents.heads, extents.inner}, extents.width));
    facts.family = io::LanguageFamily::t5;
    for (const bool gated : {false, true}) {
      facts.gated = gated;
      facts.layers = 1;
      facts.decoder_layers = 0;
      check(gated ? measured_relative<Bidirectional, FeedForward<GeluTanh, Gated>>(facts)
                  : measured_relative<Bidirectional, FeedForward<Relu>>(facts));
      facts.layers = 0;
      facts.decoder_layers = 1;
      check(gated ? measured_relative<Causal, FeedForward<GeluTanh, Gated>>(facts)
                  : measured_relative<Causal, FeedForward<Relu>>(facts));
      facts.layers = 1;
    }
    facts.gated = false;
  }
}
