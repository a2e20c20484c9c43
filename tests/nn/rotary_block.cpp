// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/rotary_block.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

template <class B>
void check_rotary_block(const typename B::Config& config) {
  const std::vector<Index> offsets{0, 5, 6, 9};
  simgr_test::check_gradients<B>(
      config, 9, config.attention.width,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return B::forward(config, p, x, Offsets(offsets), cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        return B::backward(config, p, g, dy, Offsets(offsets), cache, ctx);
      });
}

constexpr RotaryAngles slowed{.theta = 20, .scaling = 4, .low = 1, .high = 2, .original = 16};

}  // namespace

TEST_CASE("a block of Llama gives the gradients of its forward pass") {
  check_rotary_block<RotaryBlock<>>(
      {.attention = {.width = 5, .heads = 3, .kv_heads = 3, .head_width = 2, .angles = slowed},
       .inner = 7});
}

TEST_CASE("groups of heads, biases, norms of heads and dropout give theirs") {
  check_rotary_block<RotaryBlock<>>({.attention = {.width = 5,
                                                   .heads = 4,
                                                   .kv_heads = 2,
                                                   .head_width = 6,
                                                   .dropout = .2,
                                                   .biased = true,
                                                   .normed = true},
                                     .inner = 7,
                                     .dropout = .3});
}

TEST_CASE("adapters on all maps, and on some, give theirs") {
  RotaryBlock<Lora<Linear>>::Config config{
      .attention = {.width = 5,
                    .heads = 2,
                    .kv_heads = 1,
                    .head_width = 4,
                    .biased = true,
                    .adapters = {.rank = 3, .alpha = 1, .dropout = .2, .frozen = false}},
      .inner = 7};
  check_rotary_block<RotaryBlock<Lora<Linear>>>(config);
  config.attention.adapters.key = config.attention.adapters.gate = false;
  check_rotary_block<RotaryBlock<Lora<Linear>>>(config);
}
