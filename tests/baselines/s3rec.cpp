// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/s3rec.hpp>

#include <set>

#include <doctest/doctest.h>

#include <support/gradient_check.hpp>
#include <support/interrupted_stage.hpp>
#include <support/learnt_world.hpp>
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/cpu/thread_pool.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/train/trainer.hpp>

using namespace simgr;
using baselines::S3Rec;

namespace {

S3Rec::Config small_s3rec() {
  S3Rec::Config config = baselines::s3rec_defaults.model;
  config.encoder.width = 16;
  config.encoder.layers = 1;
  config.encoder.max_length = 6;
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  return config;
}
/// Item i has attribute i mod 4, and some have 4 besides.
Ragged<std::int32_t> attributes_of(Index items) {
  Ragged<std::int32_t> attributes;
  for (Index item = 0; item < items; ++item) {
    const std::int32_t own[] = {static_cast<std::int32_t>(item % 4), 4};
    attributes.push_back(std::span(own).first(item % 3 == 0 ? 2 : 1));
  }
  return attributes;
}

}  // namespace

TEST_CASE("S3-Rec's fine-tuning gives the gradient of every weight, dropout included") {
  using E = TransformerEncoder<MaskedItemEmbedding, Causal, PostNorm, GeluErf>;
  S3Rec::Config config{.encoder = simgr_test::tiny<E>()};
  config.encoder.left_padded = true;
  simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>,
                                BinaryCrossEntropy<UniformNegatives<1>>>(config);
}

TEST_CASE("S3-Rec's pre-training gives the gradient of every weight, dropout included") {
  using Stack = TransformerEncoder<MaskedItemEmbedding, Bidirectional, PostNorm, GeluErf>;
  using Parts = train::SelfSupervision<Stack>;
  Parts::Config config{simgr_test::tiny<Stack>(), 5, {.associated_attributes = 0.7}};
  config.encoder.catalogue.items = 7;
  config.encoder.left_padded = true;
  const Ragged<std::int32_t> attributes = attributes_of(7);
  const std::vector<ItemId> stranger{2, 0, 6, 6, 1};
  Rng rng(3);
  train::SelfSupervisionBatch batch;
  batch.add(std::vector<ItemId>{3, 1, 4, 1, 5}, stranger, 0.4, 7, rng);
  batch.add(std::vector<ItemId>{2}, stranger, 0.4, 7, rng);
  batch.add(std::vector<ItemId>{6, 0}, stranger, 0.4, 7, rng);
  REQUIRE(!batch.read.empty());
  const ParameterTable table = describe<Parts>(config);
  std::vector<double> weights = simgr_test::random_block(table, 5, 0.4);
  std::vector<double> gradients(weights.size(), 0.0);
  const auto params = bind<Parts>(config, weights.data()),
             grads = bind<Parts>(config, gradients.data());
  Arena arena;
  const auto step = [&] {
    arena.reset();
    cpu::Context ctx{arena, true, 11, 2};
    Parts::Cache<double> cache;
    return Parts::step<double, Host>(config, params, grads, batch, attributes.view(), 1.0 / 3,
                                     cache, ctx);
  };
  step();
  const std::vector<double> claimed = gradients;
  std::vector<simgr_test::Block> blocks;
  for (const TensorEntry& tensor : table.tensors) {
    const auto at = static_cast<std::size_t>(tensor.offset),
               size = static_cast<std::size_t>(tensor.size);
    blocks.push_back(
        {tensor.name, std::span(weights).subspan(at, size), std::span(claimed).subspan(at, size)});
  }
  simgr_test::compare_with_differences(blocks, step, 1e-7);
}

TEST_CASE("an example of S3-Rec's pre-training hides its last item and a segment of at most half") {
  const std::vector<ItemId> whole{10, 11, 12, 13, 14}, stranger{20, 21, 22, 23};
  Rng rng(4);
  train::SelfSupervisionBatch batch;
  std::set<Index> lengths;
  for (int i = 0; i < 50; ++i) {
    batch.clear();
    batch.add(whole, stranger, 0.2, 90, rng);
    REQUIRE(batch.examples() == 1);
    REQUIRE(batch.sequences.offsets == std::vector<Index>{0, 5, 10, 15, 20});
    CHECK(batch.hidden.back() == 4);
    CHECK(batch.behind.back() == 14);
    CHECK(batch.hidden.size() + batch.read.size() == 5);
    Index segment = 0;
    for (Index t = 0; t < 5; ++t) {
      const ItemId rest = batch.sequences[1][static_cast<std::size_t>(t)],
                   own = batch.sequences[2][static_cast<std::size_t>(t)],
                   other = batch.sequences[3][static_cast<std::size_t>(t)];
      const bool inside = rest == 90;
      segment += inside ? 1 : 0;
      CHECK((inside ? own : rest) == 10 + t);
      CHECK((inside ? rest : own) == 90);
      CHECK((inside ? other >= 20 && other < 24 : other == 90));
    }
    lengths.insert(segment);
  }
  CHECK(lengths == std::set<Index>{1, 2});
}

TEST_CASE("S3-Rec is pre-trained, the same on any number of threads, then learns and is saved") {
  const auto split = simgr_test::walks(40);
  const auto attributes = attributes_of(40);
  const train::PretrainOptions options{.epochs = 12, .batch = 20, .rate = 5e-3};
  std::vector<double> losses;
  S3Rec model({.items = 40}, small_s3rec(), 3), again({.items = 40}, small_s3rec(), 3);
  train::pretrain(model, attributes.view(), split, options,
                  [&](const train::PretrainReport& report) { losses.push_back(report.loss); });
  REQUIRE(losses.size() == 12);
  CHECK(losses.back() < 0.85 * losses.front());
  cpu::ThreadPool pool(2);
  train::pretrain(again, attributes.view(), split, options, Silent{}, pool);
  CHECK(std::equal(model.weights().begin(), model.weights().end(), again.weights().begin()));
  simgr_test::check_learns(
      model, {.epochs = 40, .batch = 16, .evaluate_every = 20, .optimizer = {.rate = 1e-2}}, 0.6);
  simgr_test::check_saved(model);
}

TEST_CASE("S3-Rec's pre-training goes on where it was interrupted") {
  const auto split = simgr_test::walks(40);
  const auto attributes = attributes_of(40);
  simgr_test::check_interrupted_stage(
      3, [] { return S3Rec({.items = 40}, small_s3rec(), 3); },
      [&](S3Rec& model, const auto& observer, const train::StageFile& file) {
        const train::PretrainOptions options{.epochs = 3, .batch = 20, .rate = 5e-3};
        train::pretrain(model, attributes.view(), split, options, observer, Serial{}, file);
      });
}

TEST_CASE("pre-training says what is wrong with its attributes") {
  const auto split = simgr_test::walks(40);
  S3Rec model({.items = 40}, small_s3rec(), 3);
  CHECK_THROWS_WITH_AS(train::pretrain(model, attributes_of(39).view(), split, {}),
                       "attributes: expected those of 40 items, found 39", DataError);
  Ragged<std::int32_t> attributes = attributes_of(40);
  attributes.values[7] = -2;
  CHECK_THROWS_WITH_AS(train::pretrain(model, attributes.view(), split, {}),
                       "attributes: expected numbers from 0 on, found -2", DataError);
  train::pretrain(model, {}, split, {.epochs = 1});  // none: the other tasks
}
