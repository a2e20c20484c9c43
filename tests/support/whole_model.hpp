// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <support/gradient_check.hpp>

#include <simgr/composition.hpp>
#include <simgr/loss/negatives.hpp>

namespace simgr_test {

using namespace simgr;

/// A toy catalogue of 7 items with 3 digits, and a batch of ragged histories.
struct ToyWorld {
  CatalogueSizes sizes{7, 3, 11, 4};
  std::vector<std::int32_t> rows{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 8, 0, 5, 10, 1, 4, 9, 2, 7, 8};
  std::vector<Index> starts{0, 4, 8, 11};
  std::vector<ItemId> history{3, 1, 4, 1, 5, 2, 6, 0};
  std::vector<Index> offsets{0, 3, 4, 8};
  std::vector<ItemId> next{1, 4, 6, 2, 2, 6, 0, 3};  // for each position
  std::vector<ItemId> last{6, 2, 3};                 // for each history
  std::vector<ItemId> hidden{3, 7, 4, 7, 5, 7, 7, 0}, behind_masks{1, 1, 2, 6};
  std::vector<Index> masks{0, 1, 2, 4};  // the second history hides all of itself
  std::vector<double> log_popularity, cumulative;
  std::vector<float> texts, item_vectors;  // the latter as wide as sizes.item_width says
  std::vector<ItemId> unseen;
  Prompt prompt;

  explicit ToyWorld(Index item_width = 0) {
    sizes.item_width = item_width;
    for (const double value : random_values(sizes.items * item_width, 10)) {
      item_vectors.push_back(static_cast<float>(value));
    }
    for (const double value : random_values(sizes.items * sizes.text_width, 9)) {
      texts.push_back(static_cast<float>(value));
    }
    double sum = 0;
    for (Index i = 0; i < sizes.items; ++i) {
      const double share = static_cast<double>(i + 1) / 28;
      log_popularity.push_back(std::log(share));
      cumulative.push_back(sum += share);
    }
  }
  ItemsView<> items() const {
    return {sizes.items,
            {rows.data(), {sizes.items, sizes.digits}},
            starts,
            {texts.data(), {sizes.items, sizes.text_width}},
            {item_vectors.data(), {sizes.items, sizes.item_width}},
            unseen,
            prompt};
  }
  /// The same world for a language model of 9 words; item i has i mod 3 of them.
  static ToyWorld with_prompt(bool ids, bool texts) {
    ToyWorld world;
    world.prompt = {.words = 9,
                    .ids = ids,
                    .read_texts = texts,
                    .wording = {.before = {0, 3}, .between = {5}, .behind = {8, 3}}};
    for (std::int32_t item = 0; texts && item < 7; ++item) {
      const std::int32_t words[] = {item, 4};
      world.prompt.texts.push_back(std::span(words).first(static_cast<std::size_t>(item % 3)));
    }
    world.sizes.words = 9;
    world.sizes.around = 4;
    return world;
  }
  LossBatch batch(Examples examples) const {
    if (examples == Examples::hidden_items) {
      return {behind_masks, {hidden, offsets}, masks, log_popularity, cumulative};
    }
    const bool positions = examples == Examples::every_position;
    return {positions ? next : last,
            {history, offsets},
            positions ? Offsets(offsets) : Offsets{},
            log_popularity,
            cumulative};
  }
};

/// What compare_with_differences goes through: every trained tensor, with its claimed gradient.
inline std::vector<Block> trained_blocks(const ParameterTable& table, std::span<double> weights,
                                         std::span<const double> claimed) {
  std::vector<Block> blocks;
  for (const TensorEntry& tensor : table.trained_tensors()) {
    const auto at = static_cast<std::size_t>(tensor.offset),
               size = static_cast<std::size_t>(tensor.size);
    blocks.push_back({tensor.name, weights.subspan(at, size), claimed.subspan(at, size)});
  }
  return blocks;
}

/// Finite differences over every trained weight of a composition, through prepare, one shard and
/// finish.
template <class E, class P, class S, class L>
double check_whole_model(typename Composition<E, P, S, L>::Config config, double tolerance = 1e-7,
                         const ToyWorld& world = ToyWorld()) {
  using Model = Composition<E, P, S, L>;
  config.encoder.catalogue = world.sizes;
  REQUIRE(Model::check(config).empty());
  const ParameterTable table = describe<Model>(config);
  std::vector<double> weights = random_block(table, 5, 0.4);
  std::vector<double> gradients(static_cast<std::size_t>(table.trained_size), 0.0);
  const std::vector<double> bank = random_values(world.sizes.items * config.encoder.width, 6);
  const auto params = bind<Model>(config, weights.data());
  const auto grads = bind_trained<Model>(config, gradients.data());
  const LossBatch batch = world.batch(P::examples);
  Arena arena;
  const auto step = [&](const auto& into) {
    arena.reset();
    cpu::Context ctx{arena, true, 11, 2};
    typename Model::template Shared<double> shared;
    typename Model::template Cache<double> cache;
    Model::prepare(config, params, world.items(),
                   Matrix<const double>(bank.data(), {world.sizes.items, config.encoder.width}),
                   shared, ctx);
    const auto gradient = Model::shared_gradient(config, into, ctx);
    const double value = Model::shard(config, params, into, shared, gradient, world.items(), batch,
                                      1.0 / static_cast<double>(batch.targets.size()), cache, ctx);
    return value + Model::finish(config, params, into, shared, gradient, world.items(), ctx);
  };
  step(grads);
  const std::vector<double> claimed = gradients;
  const std::vector<Block> blocks = trained_blocks(table, weights, claimed);
  return compare_with_differences(
      blocks, [&] { return step(grads); }, tolerance);
}

}  // namespace simgr_test
