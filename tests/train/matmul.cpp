// SPDX-License-Identifier: Apache-2.0
// Training with products that are made of bfloat16.
#include <simgr/train/trainer.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/rpg.hpp>
#include <simgr/cpu/thread_pool.hpp>
#include <simgr/cpu/tile_products.hpp>
#include <simgr/tokenizer/random_ids.hpp>

#include <support/learnt_world.hpp>

using namespace simgr;

namespace {

struct Run {
  std::vector<double> losses;
  std::vector<float> weights;

  Run(MatMul matmul, auto&& executor) {
    auto config = baselines::rpg_defaults.model;
    config.encoder.width = 32;
    config.encoder.layers = 1;
    config.encoder.inner = 48;
    config.encoder.dropout = config.encoder.residual_dropout = 0.2;
    Catalogue catalogue{.items = 40};
    catalogue.ids = tokenizer::random_ids(40, {.levels = 3, .codes = 20});
    baselines::Rpg model(std::move(catalogue), config, 3);
    model.fit(
        simgr_test::walks(40),
        {.epochs = 12,
         .batch = 16,
         .evaluate_every = 0,
         .matmul = matmul,
         .optimizer = {.rate = 5e-3}},
        [&](const train::EpochReport& epoch) { losses.push_back(epoch.loss); }, executor);
    const auto block = std::as_const(model).weights();
    weights.assign(block.begin(), block.end());
  }
};

}  // namespace

TEST_CASE("training learns the same with products of bfloat16, nearly, on any number of threads") {
  const Run plain(MatMul::fp32, Serial{});
  CHECK(plain.losses.back() < 0.7 * plain.losses.front());
  for (const MatMul matmul : {MatMul::bf16x3, MatMul::bf16}) {
    const Run run(matmul, Serial{}), again(matmul, cpu::ThreadPool(2));
    CHECK(run.weights == again.weights);
    CHECK((run.weights == plain.weights) == !cpu::has_tiles());
    const double near = matmul == MatMul::bf16 ? 0.02 : 1e-3;
    for (std::size_t epoch = 0; epoch < plain.losses.size(); ++epoch) {
      CAPTURE(epoch);
      CHECK(run.losses[epoch] == doctest::Approx(plain.losses[epoch]).epsilon(near));
    }
  }
}
