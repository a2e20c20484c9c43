// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/elementwise.hpp>

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using namespace simgr;

namespace {

constexpr std::uint64_t seed = 0x123456789ABCDEFull, step = (std::uint64_t{5} << 32) + 7;
constexpr std::uint32_t stream = 11;
constexpr float rate = 0.25f;

/// What element `i` is multiplied by, from its definition: half-words of Philox blocks, 16 blocks to
/// a chunk of 128 elements.
float factor(Index i) {
  const auto block = static_cast<std::uint64_t>(i / 128 * 16 + i % 16);
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto words =
      philox({low(block), low(block >> 32), stream, low(step)}, seed ^ (step >> 32 << 32));
  const Index half = i % 128 / 16;
  const std::uint32_t drawn =
      words[static_cast<std::size_t>(half / 2)] >> (half % 2 * 16) & 0xFFFFu;
  return drawn < 16384 ? 0.0f : 4.0f / 3.0f;
}

}  // namespace

TEST_CASE("dropout multiplies by half-words of Philox blocks, whole or in parts") {
  Arena arena;
  cpu::Context ctx{arena};
  ctx.training = true;
  ctx.seed = seed;
  ctx.step = step;
  const Index size = 1000;
  std::vector<float> whole(size, 1.0f), parts(size, 1.0f), others(size, 2.0f);
  cpu::dropout(ctx, Vector<float>(whole.data(), {size}), rate, stream);
  cpu::DropoutMask<float> mask(ctx, rate, stream);
  for (Index first = 0, some = 1; first < size; first += some, some = some * 2 + 3) {
    some = std::min(some, size - first);
    mask.apply(first, some, parts.data() + first, others.data() + first);
  }
  Index wrong = 0, dropped = 0;
  for (Index i = 0; i < size; ++i) {
    const auto at = static_cast<std::size_t>(i);
    wrong += whole[at] != factor(i) || parts[at] != whole[at] || others[at] != 2 * whole[at];
    dropped += whole[at] == 0;
  }
  CHECK(wrong == 0);
  CHECK(dropped > 200);
  CHECK(dropped < 300);
}

TEST_CASE("dropout leaves alone what is not trained, and drops nothing at rate 0") {
  Arena arena;
  cpu::Context ctx{arena};
  std::vector<float> x(300, 1.0f);
  const Vector<float> view(x.data(), {300});
  cpu::dropout(ctx, view, rate, stream);
  ctx.training = true;
  cpu::dropout(ctx, view, 0.0f, stream);
  CHECK(x == std::vector<float>(300, 1.0f));
}
