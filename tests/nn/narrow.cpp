// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/narrow.hpp>

#include <algorithm>
#include <vector>

#include <simgr/nn/lora.hpp>
#include <simgr/nn/rotary_block.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

/// The tensors of `from` in the layout of `to`, which has them wide.
template <class T>
std::vector<T> widened_block(const ParameterTable& from, const std::vector<T>& block,
                             const ParameterTable& to) {
  std::vector<T> wide(static_cast<std::size_t>(to.block_size));
  for (const TensorEntry& tensor : to.tensors) {
    const auto found = std::find_if(from.tensors.begin(), from.tensors.end(),
                                    [&](const TensorEntry& it) { return it.name == tensor.name; });
    REQUIRE(found != from.tensors.end());
    const T* const values = block.data() + found->offset;
    for (Index i = 0; i < tensor.size; ++i) {
      wide[static_cast<std::size_t>(tensor.offset + i)] =
          found->storage == Storage::full
              ? values[i]
              : static_cast<T>(widened(reinterpret_cast<const BFloat16*>(values)[i]));
    }
  }
  return wide;
}

}  // namespace

TEST_CASE("a narrow map, alone and under an adapter, gives the gradients of its forward pass") {
  simgr_test::check_gradients<Narrow<Linear>>({5, 7}, 6, 5);
  simgr_test::check_gradients<Narrow<Linear>>({5, 8, false}, 17, 5);
  simgr_test::check_gradients<Lora<Narrow<Linear>>>({.base = {5, 7}, .rank = 3, .alpha = 6}, 6, 5);
}

TEST_CASE("a block of narrow maps under adapters gives the gradients of its forward pass") {
  using Block = RotaryBlock<Lora<Narrow<Linear>>>;
  const Block::Config config{.attention = {.width = 5,
                                           .heads = 2,
                                           .kv_heads = 1,
                                           .head_width = 4,
                                           .biased = true,
                                           .normed = true,
                                           .adapters = {.rank = 3, .alpha = 1, .dropout = .2}},
                             .inner = 7};
  const std::vector<Index> offsets{0, 5, 6, 9};
  simgr_test::check_sequence_gradients<Block>(config, offsets, 5);
}

TEST_CASE_TEMPLATE("a narrow map takes half the memory, and has the numbers of the widened one", T,
                   float, double) {
  const Linear::Config config{64, 96};
  const ParameterTable table = describe<Narrow<Linear>>(config), wide = describe<Linear>(config);
  CHECK(table.trained_size == 0);
  CHECK(table.block_size == 64 * 96 / 2 + 96);
  CHECK(table.parameters() == wide.parameters());
  std::vector<T> block(static_cast<std::size_t>(table.block_size));
  initialise(table, std::span<T>(block), 3);
  std::vector<T> widened_weights = widened_block(table, block, wide);
  std::vector<T> expected_weights(widened_weights.size());
  initialise(wide, std::span<T>(expected_weights), 3);
  for (std::size_t i = 0; i < expected_weights.size(); ++i) {  // the same draw, rounded
    CHECK(widened_weights[i] ==
          float_from_bf16(bf16_from_float(static_cast<float>(expected_weights[i]))));
  }
  const auto p = bind<Narrow<Linear>>(config, block.data());
  const auto q = bind<Linear>(config, widened_weights.data());
  Arena arena;
  cpu::Context ctx{arena, true};
  for (const Index rows : {64, 100}) {
    const std::vector<double> numbers = simgr_test::random_values(rows * 64, 2);
    const std::vector<T> x(numbers.begin(), numbers.end());
    const MatrixArg<T> input(x.data(), {rows, 64});
    Narrow<Linear>::Cache<T> narrow_cache;
    Linear::Cache<T> cache;
    const Matrix<T> y = Narrow<Linear>::forward(config, p, input, narrow_cache, ctx),
                    expected = Linear::forward(config, q, input, cache, ctx);
    CHECK(std::equal(y.begin(), y.end(), expected.begin()));
    std::vector<T> unread(widened_weights.size());
    const auto grads = bind<Linear>(config, unread.data());
    const Matrix<T> dx =
                        Narrow<Linear>::backward(config, p, {}, MatrixArg<T>(y), narrow_cache, ctx),
                    expected_dx = Linear::backward(config, q, grads, MatrixArg<T>(y), cache, ctx);
    CHECK(std::equal(dx.begin(), dx.end(), expected_dx.begin()));
  }
}

TEST_CASE("an adapter over a narrow map is merged into the weight of a plain one") {
  const Lora<Narrow<Linear>>::Config config{.base = {5, 7}, .rank = 2, .alpha = 3};
  const Lora<Linear>::Config wide_config{.base = {5, 7}, .rank = 2, .alpha = 3};
  const ParameterTable table = describe<Lora<Narrow<Linear>>>(config),
                       wide = describe<Lora<Linear>>(wide_config);
  const std::vector<double> block = simgr_test::random_block(table, 1),
                            wide_block = widened_block(table, block, wide);
  std::vector<double> narrow_memory = block, wide_memory = wide_block;
  const auto p = bind<Lora<Narrow<Linear>>>(config, narrow_memory.data());
  const auto q = bind<Lora<Linear>>(wide_config, wide_memory.data());
  Arena arena;
  cpu::Context ctx{arena};
  const Matrix<double> merged = ctx.take<double>(7, 5), expected = ctx.take<double>(7, 5);
  Lora<Narrow<Linear>>::merge(config, p, merged, ctx);
  Lora<Linear>::merge(wide_config, q, expected, ctx);
  CHECK(std::equal(merged.begin(), merged.end(), expected.begin()));
}
