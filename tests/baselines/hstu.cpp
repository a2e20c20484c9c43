// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/hstu.hpp>

#include <doctest/doctest.h>

#include <support/learnt_world.hpp>
#include <support/whole_model.hpp>

#include <simgr/io/model_file.hpp>
#include <simgr/train/trainer.hpp>

using namespace simgr;
using baselines::Hstu;

TEST_CASE("HSTU gives the gradient of every weight, dropout included") {
  using E = PointwiseEncoder<ItemEmbedding>;
  simgr_test::check_whole_model<E, EveryPosition, ScaledCosine<TiedItems>, ItemCrossEntropy<>>(
      {.encoder =
           {.width = 6, .layers = 2, .heads = 2, .asked = 2, .max_length = 5, .dropout = 0.1},
       .similarity = {.temperature = 0.5}});
}

TEST_CASE("HSTU learns, is saved, and wants heads that divide its width or widths of heads") {
  Hstu::Config config = baselines::hstu_defaults.model;
  config.encoder.width = 16;
  config.encoder.layers = 1;
  config.encoder.max_length = 6;
  config.encoder.dropout = 0;
  Hstu model({.items = 40}, config, 3);
  simgr_test::check_learns(
      model, {.epochs = 40, .batch = 16, .evaluate_every = 20, .optimizer = {.rate = 1e-2}}, 0.5);
  simgr_test::check_saved(model);
  config.encoder.heads = 3;
  CHECK_THROWS_WITH_AS((Hstu({.items = 40}, config)),
                       "encoder.heads: expected a divisor of encoder.width 16, or encoder.asked "
                       "and encoder.given, found 3",
                       ConfigError);
  config.encoder.asked = config.encoder.given = 5;
  CHECK(Hstu({.items = 40}, config).query_width() == 16);
}
