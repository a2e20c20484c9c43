// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/bert4rec.hpp>

#include <doctest/doctest.h>

#include <support/learnt_world.hpp>

#include <simgr/io/model_file.hpp>
#include <simgr/train/trainer.hpp>

namespace {

using namespace simgr;
using baselines::Bert4Rec;

Bert4Rec::Config small_cloze() {
  Bert4Rec::Config config = baselines::bert4rec_defaults.model;
  config.encoder.width = 16;
  config.encoder.layers = 1;
  config.encoder.max_length = 4;
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  config.encoder.deviation = config.encoder.embedding.deviation = 0.1;
  return config;
}

}  // namespace

TEST_CASE("BERT4Rec reads max_length items besides its mask, one history as many") {
  const Bert4Rec model({.items = 40}, small_cloze(), 3);
  Ragged<ItemId> histories;
  histories.push_back(std::vector<ItemId>{9, 1, 2, 3, 4});  // read from the second item on
  histories.push_back(std::vector<ItemId>{1, 2, 3, 4});
  histories.push_back(std::vector<ItemId>{2, 3, 4});
  histories.push_back(std::vector<ItemId>{});
  OwnedMatrix<float> all(4, 40), alone(1, 40);
  model.score(histories, all.view());
  Ragged<ItemId> one;
  one.push_back(histories[2]);
  model.score(one, alone.view());
  double difference = 0;
  for (Index item = 0; item < 40; ++item) {
    CHECK(all.view()(0, item) == doctest::Approx(all.view()(1, item)).epsilon(1e-5));
    CHECK(all.view()(2, item) == doctest::Approx(alone.view()(0, item)).epsilon(1e-5));
    CHECK(all.view()(3, item) == 0);
    difference += std::abs(static_cast<double>(all.view()(1, item) - all.view()(2, item)));
  }
  CHECK(difference > 1e-3);
  CHECK(model.query_width() == 17);  // of the bias
}

TEST_CASE("BERT4Rec learns what comes next, and is saved") {
  Bert4Rec model({.items = 40}, small_cloze(), 3);
  simgr_test::check_learns(
      model, {.epochs = 100, .batch = 16, .evaluate_every = 50, .optimizer = {.rate = 3e-3}}, 0.5);
  simgr_test::check_saved(model);
}
