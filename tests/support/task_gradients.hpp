// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <support/whole_model.hpp>

#include <simgr/train/neighbour_tasks.hpp>

namespace simgr_test {

/// Finite differences over every weight, with two tasks beside the next item.
///
/// @param seed  of the weights
template <class E, class P, class S, class L>
void check_tasks(typename Composition<E, P, S, L, NoFields, 2>::Config config,
                 std::uint64_t seed = 5, const ToyWorld& world = ToyWorld{}) {
  using Model = Composition<E, P, S, L, NoFields, 2>;
  using Lists = train::NeighbourLists<Model>;
  config.encoder.catalogue = world.sizes;
  REQUIRE(Model::check(config).empty());
  train::NeighbourExamples asked[2];
  const ItemId near[] = {4, 2, 4}, alike[] = {0};
  Lists::add_example(world.items(), 1, near, asked[0]);
  Lists::add_example(world.items(), 6, std::span(near).first(2), asked[0]);
  Lists::add_example(world.items(), 1, alike, asked[1]);
  const ParameterTable table = describe<Model>(config);
  std::vector<double> weights = random_block(table, seed, 0.4);
  std::vector<double> gradients(static_cast<std::size_t>(table.trained_size), 0.0);
  const auto params = bind<Model>(config, weights.data());
  const auto grads = bind_trained<Model>(config, gradients.data());
  const LossBatch next = world.batch(P::examples);
  Arena arena;
  const auto step = [&] {
    arena.reset();
    cpu::Context ctx{arena, true, 11, 2};
    typename Model::template Shared<double> shared;
    typename Model::template Cache<double> cache, of_tasks;
    Model::prepare(config, params, world.items(), {}, shared, ctx);
    const auto gradient = Model::shared_gradient(config, grads, ctx);
    double value =
        Model::shard(config, params, grads, shared, gradient, world.items(), next, 0.1, cache, ctx);
    for (Index k = 0; k < 2; ++k) {
      value += Lists::template value_and_gradient<double, Host>(
          config, params, grads, shared, gradient, world.items(), asked[k], k, next,
          k == 0 ? 0.07 : 0.3, of_tasks, ctx);
    }
    return value + Model::finish(config, params, grads, shared, gradient, world.items(), ctx);
  };
  step();
  const std::vector<double> claimed = gradients;
  const std::vector<Block> blocks = trained_blocks(table, weights, claimed);
  CHECK(blocks.back().name == "training/tags");
  compare_with_differences(blocks, step, 1e-7);
}

}  // namespace simgr_test
