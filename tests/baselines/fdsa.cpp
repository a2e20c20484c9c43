// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/fdsa.hpp>

#include <doctest/doctest.h>

#include <support/learnt_world.hpp>
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/io/model_file.hpp>
#include <simgr/train/trainer.hpp>

using namespace simgr;
using baselines::Fdsa;

namespace {

Catalogue forty_texts() {
  Catalogue catalogue{.items = 40, .text_vectors = OwnedMatrix<float>(40, 6)};
  Rng rng(8);
  for (float& value : catalogue.text_vectors.values) { value = static_cast<float>(rng.normal()); }
  return catalogue;
}

}  // namespace

TEST_CASE("FDSA gives the gradient of every weight, dropout included") {
  using E = TwoStreamEncoder<>;
  simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>(
      {.encoder = simgr_test::tiny<E>()});
}

TEST_CASE("FDSA learns, reads texts, is saved with them, and wants them") {
  Fdsa::Config config = baselines::fdsa_defaults.model;
  config.encoder.width = 16;
  config.encoder.layers = 1;
  config.encoder.max_length = 6;
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  Fdsa model(forty_texts(), config, 3);
  simgr_test::check_learns(
      model, {.epochs = 40, .batch = 16, .evaluate_every = 20, .optimizer = {.rate = 1e-2}}, 0.5);
  simgr_test::check_saved(model);

  Catalogue other = forty_texts();
  other.text_vectors.view()(5, 0) += 3;
  const Fdsa elsewhere(other, config, std::as_const(model).weights());
  const std::vector<ItemId> five{5, 6}, six{6, 7};
  const RecommendOptions all{.seen = ranker::Seen::keep};
  CHECK(model.recommend(five, 1, all)[0].score != elsewhere.recommend(five, 1, all)[0].score);
  CHECK(model.recommend(six, 1, all)[0].score == elsewhere.recommend(six, 1, all)[0].score);
  CHECK_THROWS_AS(Fdsa({.items = 40}, config), ConfigError);
}
