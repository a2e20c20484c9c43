// SPDX-License-Identifier: Apache-2.0
#include <support/given_states.hpp>
#include <support/gradient_check.hpp>

#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

// The softmax over a catalogue of 50 items of width 8: value and every gradient, from the states and
// the digit table to the temperature.

using namespace simgr;

namespace {

constexpr Index items = 50, users = 5, digits = 3, codes = 5;

template <class S>
void check_catalogue(typename S::Config similarity = {}) {
  using Model = Composition<simgr_test::GivenStates, EveryPosition, S, ItemCrossEntropy<>>;
  typename Model::Config config{.similarity = similarity};
  config.encoder = {8, users, {}, {items, digits, digits * codes}};
  const ParameterTable table = describe<Model>(config);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 1);
  std::vector<double> gradients(weights.size());
  const auto params = bind<Model>(config, weights.data()),
             grads = bind<Model>(config, gradients.data());
  Rng rng(8);
  std::vector<std::int32_t> rows;
  for (Index i = 0; i < items; ++i) {
    for (Index l = 0; l < digits; ++l) {
      rows.push_back(static_cast<std::int32_t>(codes * l + rng.below(codes)));
    }
  }
  const ItemsView<> view{items, {rows.data(), {items, digits}}};
  const std::vector<ItemId> targets{3, 49, 0, 17, 3};
  const std::vector<Index> offsets{0, 1, 2, 3, 4, 5};
  Arena arena;
  const auto loss = [&] {
    arena.reset();
    cpu::Context ctx{arena, true};
    std::fill(gradients.begin(), gradients.end(), 0.0);
    typename Model::template Shared<double> shared;
    typename Model::template Cache<double> cache;
    Model::prepare(config, params, view, {}, shared, ctx);
    const auto into = Model::shared_gradient(config, grads, ctx);
    const double value =
        Model::shard(config, params, grads, shared, into, view,
                     LossBatch{targets, {targets, offsets}, offsets, {}, {}}, 0.2, cache, ctx);
    Model::finish(config, params, grads, shared, into, view, ctx);
    return value;
  };
  loss();
  const std::vector<double> claimed = gradients;
  simgr_test::compare_with_differences({{"all weights", weights, claimed}}, loss, 1e-8);
}

}  // namespace

TEST_CASE("the softmax over a catalogue gives its gradient under both similarities") {
  check_catalogue<InnerProduct<PooledDigits<Mean>>>();
  check_catalogue<ScaledCosine<PooledDigits<Mean>>>({.temperature = 0.5});
  check_catalogue<ScaledCosine<PooledDigits<Mean>>>({.temperature = 0.5, .learned = true});
}

TEST_CASE("a catalogue of one item has the loss 0 whatever its score") {
  for (const float score : {-40.0f, -20.0f, 0.0f, 40.0f, -200.0f}) {
    CAPTURE(score);
    const std::vector<float> query{score, 0, 0, 0, 0, 0, 0, 0}, key{1, 0, 0, 0, 0, 0, 0, 0};
    const std::vector<std::int32_t> targets{0};
    std::vector<float> dquery(8), dkey(8);
    Arena arena;
    cpu::Context ctx{arena, true};
    const double loss = cpu::catalogue_cross_entropy<float>(
        ctx, {query.data(), {1, 8}}, {key.data(), {1, 8}}, targets, 1.0f, 1 << 20,
        {dquery.data(), {1, 8}}, {dkey.data(), {1, 8}});
    CHECK(std::abs(loss) < 1e-4);
    CHECK(std::abs(dquery[0]) < 1e-6f);
    CHECK(std::abs(dkey[0]) < 1e-4f);
  }
}
