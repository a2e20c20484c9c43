// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <map>

#include <simgr/composition.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

using namespace simgr;
using simgr_test::tiny;

namespace {

using DigitReader = TransformerEncoder<SemanticEmbedding, Causal>;

/// Gradients of one step of variant B, for a draw that the step's number decides.
struct EncodedStep {
  using Model =
      Composition<DigitReader, LastPosition, ScaledCosine<EncodedItems>, ItemCrossEntropy<>>;
  const simgr_test::ToyWorld world;
  Model::Config config;
  ParameterTable table;
  std::vector<double> weights, bank;

  EncodedStep() {
    config.encoder = tiny<DigitReader>();
    config.encoder.dropout = config.encoder.attention_dropout = 0;
    config.encoder.catalogue = world.sizes;
    config.similarity.temperature = .5;
    table = describe<Model>(config);
    weights = simgr_test::random_values(table.block_size, 5, 0.4);
    // A bank without a stale row.
    bank.resize(static_cast<std::size_t>(world.sizes.items * config.encoder.width));
    const auto params = bind<Model>(config, weights.data());
    Arena arena;
    cpu::Context ctx{arena};
    Model::Shared<double> shared;
    Model::Cache<double> cache;
    Model::prepare(config, params, world.items(), {}, shared, ctx);
    const std::vector<ItemId> all{0, 1, 2, 3, 4, 5, 6};
    Model::encode_keys(config, params, shared.rows, world.items(), std::span<const ItemId>(all),
                       Matrix<double>(bank.data(), {world.sizes.items, config.encoder.width}),
                       cache, ctx);
  }

  std::vector<double> gradient(Index refresh, Index drawn, std::uint64_t step) {
    config.candidates = {.refresh = refresh, .drawn = drawn};
    std::vector<double> gradients(weights.size(), 0.0);
    const auto params = bind<Model>(config, weights.data());
    const auto grads = bind<Model>(config, gradients.data());
    const LossBatch batch = world.batch(Examples::every_prefix);
    Arena arena;
    cpu::Context ctx{arena, true, 11, step};
    Model::Shared<double> shared;
    Model::Cache<double> cache;
    Model::prepare(config, params, world.items(),
                   Matrix<const double>(bank.data(), {world.sizes.items, config.encoder.width}),
                   shared, ctx);
    const auto into = Model::shared_gradient(config, grads, ctx);
    Model::shard(config, params, grads, shared, into, world.items(), batch, 1.0 / 3, cache, ctx);
    Model::finish(config, params, grads, shared, into, world.items(), ctx);
    return gradients;
  }
};

}  // namespace

TEST_CASE("items through the encoder of the histories give the gradient of every weight") {
  for (const Index drawn : {7, 2, 1, 0}) {
    simgr_test::check_whole_model<DigitReader, LastPosition, ScaledCosine<EncodedItems>,
                                  ItemCrossEntropy<>>({.encoder = tiny<DigitReader>(),
                                                       .similarity = {.temperature = .5},
                                                       .candidates = {.drawn = drawn}});
  }
}
TEST_CASE("against a bank that does not move they do as well" * doctest::test_suite("heavy")) {
  for (const Index drawn : {7, 0}) {  // all items live, or the targets alone
    simgr_test::check_whole_model<DigitReader, EveryPosition, ScaledCosine<EncodedItems>,
                                  ItemCrossEntropy<>>(
        {.encoder = tiny<DigitReader>(),
         .similarity = {.temperature = .5},
         .candidates = {.refresh = 9, .drawn = drawn}});
  }
}

TEST_CASE("the mean over all draws of other items is the gradient through every item") {
  // Three of seven items are targets: with two drawn of the other four there are six draws, and
  // each step makes one of them.
  EncodedStep world;
  const std::vector<double> whole = world.gradient(9, 4, 0),
                            targets_alone = world.gradient(9, 0, 0);
  for (const auto& [drawn, draws] : {std::pair<Index, std::size_t>{1, 4}, {2, 6}, {3, 4}}) {
    std::map<std::vector<double>, int> seen;
    for (std::uint64_t step = 0; step < 200; ++step) { ++seen[world.gradient(9, drawn, step)]; }
    REQUIRE(seen.size() == draws);
    double apart = 0, dropped = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      double mean = 0;
      for (const auto& [gradient, times] : seen) {
        mean += gradient[i] / static_cast<double>(draws);
      }
      apart = std::max(apart, std::abs(mean - whole[i]));
      dropped = std::max(dropped, std::abs(targets_alone[i] - whole[i]));
    }
    CHECK(apart < 1e-12);
    CHECK(dropped > 1e-3);
    for (const auto& [gradient, times] : seen) {
      CHECK(times > 100 / static_cast<int>(draws));  // each draw is about as likely
    }
  }
}

TEST_CASE("with every item live the loss needs no bank") {
  EncodedStep world;
  const std::vector<double> with = world.gradient(9, 4, 0), without = world.gradient(0, 4, 0);
  for (std::size_t i = 0; i < with.size(); ++i) { CHECK(std::abs(with[i] - without[i]) < 1e-12); }
}

TEST_CASE("the mean over all draws of the softmax's sum is that of the full softmax") {
  using Items = EncodedItems::Over<DigitReader>;
  const std::vector<ItemId> targets{6, 2, 3, 2};
  const std::vector<double> terms = simgr_test::random_values(7, 3);
  double whole = 0;
  for (const double term : terms) { whole += term; }
  Arena arena;
  for (const auto& [drawn, draws] : {std::pair<Index, std::size_t>{1, 4}, {2, 6}, {3, 4}, {9, 1}}) {
    std::map<std::vector<ItemId>, double> sums;
    for (std::uint64_t step = 0; step < 200; ++step) {
      cpu::Context ctx{arena, true, 11, step};
      const auto live =
          Items::choose_live<double, Host>({6, {7, 3, 11}, {.drawn = drawn}}, targets, ctx);
      double sum = 0;
      for (std::size_t i = 0; i < live.ids.size(); ++i) {
        sum +=
            live.stands_for[static_cast<Index>(i)] * terms[static_cast<std::size_t>(live.ids[i])];
      }
      sums[{live.ids.begin(), live.ids.end()}] = sum;
    }
    REQUIRE(sums.size() == draws);
    double mean = 0;
    for (const auto& [ids, sum] : sums) { mean += sum / static_cast<double>(draws); }
    CHECK(mean == doctest::Approx(whole).epsilon(1e-13));
  }
}
