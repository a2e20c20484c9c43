// SPDX-License-Identifier: Apache-2.0
// LIGER that learns the neighbours of items, too.
#include <simgr/baselines/liger.hpp>

#include <doctest/doctest.h>

#include <support/learnt_world.hpp>
#include <support/small_speller.hpp>
#include <support/task_gradients.hpp>

namespace {

using namespace simgr;
using baselines::Liger;
using baselines::LigerDense;
using RelatedLiger = with_tasks<Liger, NextItem, CollaborativeNeighbours, SemanticNeighbours>;
using LigerEncoder = Liger::EncoderType;

template <class Model>
Model small_liger(double dropout = 0) {
  const auto c = simgr_test::small_speller(baselines::liger_defaults.model);
  typename Model::Config config{c.encoder, c.pooler, c.similarity, c.candidates, c.loss, c.ranker};
  config.encoder.max_length = 3;
  config.encoder.dropout = config.encoder.embedding.dropout = dropout;
  return Model(simgr_test::related(simgr_test::told(simgr_test::forty_items())), config, 3);
}

}  // namespace

TEST_CASE("LIGER has the gradients of its tasks, dropout and unseen neighbours included") {
  LigerEncoder::Config encoder = simgr_test::tiny_speller<LigerEncoder>();
  encoder.embedding = {.deviation = 1, .dropout = .3};
  simgr_test::ToyWorld with_unseen;
  with_unseen.unseen = {0, 4, 5};
  for (const simgr_test::ToyWorld& world : {simgr_test::ToyWorld{}, with_unseen}) {
    simgr_test::check_tasks<LigerEncoder, EveryDigitAndEnd, ProductAndCosine<DigitsAndTexts>,
                            DigitAndItemCrossEntropy>(
        {.encoder = encoder,
         .similarity = {.temperature = .5, .support = DigitSupport::whole},
         .loss = {.item_weight = .7}},
        5, world);
  }
}

TEST_CASE("LIGER is asked for neighbours that training met, and for no others") {
  const RelatedLiger model = small_liger<RelatedLiger>();
  const ItemsView<> items = model.items_view();
  REQUIRE(items.unseen.size() == 6);  // every seventh
  train::NeighbourExamples asked;
  using Lists = train::NeighbourLists<RelatedLiger::Parts>;
  const ItemId mixed[] = {14, 3, 0, 4}, unseen[] = {7, 21};
  Lists::add_example(items, 14, mixed, asked);  // what is asked about may be new
  Lists::add_example(items, 1, unseen, asked);
  CHECK(asked.asked == std::vector<ItemId>{14});
  CHECK(asked.answers == std::vector<ItemId>{3, 4});
  CHECK(asked.states == std::vector<Index>{0, 2 * items.digit_rows.cols()});
}

TEST_CASE("LIGER learns to spell neighbours and to find them by their texts" *
          doctest::test_suite("heavy")) {
  RelatedLiger model = small_liger<RelatedLiger>();
  simgr_test::check_learns(
      model, {.epochs = 80, .batch = 16, .evaluate_every = 0, .optimizer = {.rate = 5e-3}}, 0.3);
  // The state that the tag and an item end in lies nearest the texts of its neighbours.
  using Parts = RelatedLiger::Parts;
  const auto& c = model.config();
  Arena arena;
  cpu::Context ctx{arena};
  Parts::Shared<float> shared;
  Parts::prepare(c, model.params(), model.items_view(), {}, shared, ctx);
  Index found = 0, spelt = 0;
  for (ItemId item = 0; item < 40; ++item) {
    const auto list = model.catalogue().relations.semantic[item];
    train::NeighbourExamples asked;
    train::NeighbourLists<Parts>::add_example(model.items_view(), item, list, asked);
    Parts::Cache<float> cache;
    const Matrix<float> states = LigerEncoder::forward_lists(
        c.encoder, model.params().encoder, model.params().tags.row(1), shared.rows,
        model.items_view(), asked.asked, asked.known, Offsets(asked.states), cache.encoder, ctx);
    const Index digits = states.rows() - 1;
    REQUIRE(digits == model.catalogue().ids.digits());
    const auto nearest = [&](VectorArg<float> state, MatrixArg<float> rows) {
      Index best = 0;
      double highest = -1e30;
      for (Index row = 0; row < rows.rows(); ++row) {
        double product = 0;
        for (Index j = 0; j < rows.cols(); ++j) {
          product += static_cast<double>(state[j]) * static_cast<double>(rows(row, j));
        }
        if (product > highest) {
          highest = product;
          best = row;
        }
      }
      return best;
    };
    found += nearest(states.row(digits), shared.keys.slice(0, 40)) == list[0] ? 1 : 0;
    for (Index l = 0; l < digits; ++l) {
      spelt += nearest(states.row(l), model.params().encoder.embedding.table) ==
                       model.items_view().digit_rows(list[0], l)
                   ? 1
                   : 0;
    }
  }
  CHECK(found >= 36);
  CHECK(spelt >= 36 * model.catalogue().ids.digits());
}

TEST_CASE("without weight the tasks change no bit of LIGER, and what is saved is LIGER's file") {
  const auto trained = [](auto model, double weight) {
    train::FitOptions options{.epochs = 3, .batch = 16, .evaluate_every = 1};
    options.collaborative = options.semantic = weight;
    model.fit(simgr_test::walks(40), options);
    return model;
  };
  const auto weights_of = [](const auto& model) { return model.weights(); };
  const auto plain = trained(small_liger<Liger>(0.1), 1);
  const auto idle = trained(small_liger<RelatedLiger>(0.1), 0),
             taught = trained(small_liger<RelatedLiger>(0.1), 1);
  const auto expected = weights_of(plain);
  CHECK(std::equal(expected.begin(), expected.end(), weights_of(idle).begin()));
  CHECK(!std::equal(expected.begin(), expected.end(), weights_of(taught).begin()));

  const simgr_test::TemporaryFolder folder;
  taught.save(folder.file("m"));
  const auto dense = LigerDense::load(folder.file("m"));
  const ItemId history[] = {7, 8, 9};
  CHECK(dense.recommend(history, 10).size() == 10);
}
