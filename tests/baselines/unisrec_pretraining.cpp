// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/sequence_contrast.hpp>

#include <cmath>
#include <set>

#include <doctest/doctest.h>

#include <support/gradient_check.hpp>
#include <support/interrupted_stage.hpp>
#include <support/learnt_world.hpp>
#include <support/whole_model.hpp>

#include <simgr/baselines/unisrec.hpp>
#include <simgr/cpu/thread_pool.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/train/trainer.hpp>

using namespace simgr;
using baselines::UniSRec;

namespace {

using MixtureStack = UniSRec::EncoderType;
using Contrast = train::SequenceContrast<MixtureStack>;

/// A toy catalogue of 7 items with texts, a contrast over it, and a batch.
struct ToyContrast {
  simgr_test::ToyWorld world;
  Contrast::Config config{{.width = 6,
                           .layers = 1,
                           .heads = 2,
                           .inner = 5,
                           .max_length = 5,
                           .embedding = {.experts = 3}},
                          0.5,
                          0.7};
  train::ContrastBatch batch;
  ParameterTable table;
  std::vector<double> weights, gradients;
  Arena arena;

  explicit ToyContrast(double dropout) {
    config.encoder.dropout = config.encoder.attention_dropout = dropout;
    config.encoder.embedding.dropout = dropout;
    config.encoder.catalogue = world.sizes;
    table = describe<Contrast>(config);
    weights = simgr_test::random_block(table, 5, 0.4);
  }
  double step(bool training = true) {
    gradients.assign(weights.size(), 0.0);
    arena.reset();
    cpu::Context ctx{arena, training, 11, 2};
    Contrast::Cache<double> cache;
    return Contrast::step<double, Host>(
        config, bind<Contrast>(config, weights.data()), bind<Contrast>(config, gradients.data()),
        batch, world.items().text_vectors, 1.0 / static_cast<double>(batch.examples()), cache, ctx);
  }
};

/// Histories of which two are followed by the same item.
void add_four(train::ContrastBatch& batch) {
  Rng rng(3);
  batch.add(std::vector<ItemId>{3, 1, 4, 1, 5}, 2, 0.5, rng);
  batch.add(std::vector<ItemId>{2}, 6, 0.5, rng);
  batch.add(std::vector<ItemId>{6, 0, 3}, 2, 0.5, rng);
  batch.add(std::vector<ItemId>{5, 4}, 1, 0.5, rng);
}

UniSRec::Config small_unisrec() {
  UniSRec::Config config = baselines::unisrec_defaults.model;
  config.encoder.width = 16;
  config.encoder.layers = 1;
  config.encoder.inner = 32;
  config.encoder.max_length = 6;
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  config.encoder.embedding.dropout = 0;
  return config;
}
Catalogue with_texts(Index items) {
  Catalogue catalogue{.items = items};
  catalogue.text_vectors.rows = items;
  catalogue.text_vectors.cols = 12;
  for (const double value : simgr_test::random_values(items * 12, 4)) {
    catalogue.text_vectors.values.push_back(static_cast<float>(value));
  }
  return catalogue;
}
std::vector<float> tensor_of(const UniSRec& model, const std::string& name) {
  for (const TensorEntry& tensor : model.table().tensors) {
    if (tensor.name == name) {
      const auto values = model.weights().subspan(static_cast<std::size_t>(tensor.offset),
                                                  static_cast<std::size_t>(tensor.size));
      return {values.begin(), values.end()};
    }
  }
  FAIL("no tensor " << name);
  return {};
}

}  // namespace

TEST_CASE("UniSRec's pre-training gives the gradient of every weight, noise and dropout included") {
  for (const double dropout : {0.0, 0.2}) {
    ToyContrast toy(dropout);
    add_four(toy.batch);
    toy.step();
    const std::vector<double> claimed = toy.gradients;
    std::vector<simgr_test::Block> blocks;
    for (const TensorEntry& tensor : toy.table.tensors) {
      const auto at = static_cast<std::size_t>(tensor.offset),
                 size = static_cast<std::size_t>(tensor.size);
      blocks.push_back({tensor.name, std::span(toy.weights).subspan(at, size),
                        std::span(claimed).subspan(at, size)});
    }
    simgr_test::compare_with_differences(
        blocks, [&] { return toy.step(); }, 1e-7);
  }
}

TEST_CASE("both contrasts are softmaxes over the batch without what has the same target") {
  ToyContrast toy(0);
  add_four(toy.batch);
  const double loss = toy.step(false);

  // Naively, from all rows and a forward pass of each sequence alone.
  cpu::Context ctx{toy.arena};
  const auto params = bind<Contrast>(toy.config, toy.weights.data());
  TextMixtureEmbedding::Cache<double> rows_cache;
  const ItemsView<> items = toy.world.items();
  const Matrix<const double> rows = TextMixtureEmbedding::rows(
      toy.config.encoder.embedding_shape(), params.encoder.embedding, items, rows_cache, ctx);
  const Index width = toy.config.encoder.width;
  const auto unit = [&](auto vector) {
    std::vector<double> values(vector.begin(), vector.end());
    double square = 0;
    for (const double value : values) { square += value * value; }
    for (double& value : values) { value /= std::sqrt(square); }
    return values;
  };
  std::vector<std::vector<double>> whole, thinned, next;
  for (Index s = 0; s < toy.batch.sequences.sequences(); ++s) {
    const auto sequence = toy.batch.sequences[s];
    const Index offsets[] = {0, static_cast<Index>(sequence.size())};
    MixtureStack::Cache<double> cache;
    const Matrix<double> states = MixtureStack::forward<double, Host>(
        toy.config.encoder, params.encoder, rows, items, {sequence, offsets}, cache, ctx);
    (s % 2 == 0 ? whole : thinned).push_back(unit(states.row(states.rows() - 1)));
  }
  for (const ItemId target : toy.batch.targets) { next.push_back(unit(rows.row(target))); }
  double expected = 0;
  for (const auto& [others, share] : {std::pair(&next, 1.0), std::pair(&thinned, 0.7)}) {
    for (std::size_t b = 0; b < 4; ++b) {
      double sum = 0, own = 0;
      for (std::size_t other = 0; other < 4; ++other) {
        double cosine = 0;
        for (std::size_t k = 0; k < static_cast<std::size_t>(width); ++k) {
          cosine += whole[b][k] * (*others)[other][k];
        }
        own = other == b ? cosine / 0.5 : own;
        sum += other != b && toy.batch.targets[other] == toy.batch.targets[b]
                   ? 0
                   : std::exp(cosine / 0.5);
      }
      expected += share * (std::log(sum) - own) / 4;
    }
  }
  CHECK(loss == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("a second view keeps the first item and drops a share of the others") {
  const std::vector<ItemId> history{10, 11, 12, 13, 14};
  Rng rng(4);
  train::ContrastBatch batch;
  Index kept = 0;
  for (int i = 0; i < 500; ++i) {
    batch.clear();
    batch.add(history, 15, 0.2, rng);
    REQUIRE(batch.examples() == 1);
    const auto first = batch.sequences[0], second = batch.sequences[1];
    CHECK(std::equal(first.begin(), first.end(), history.begin(), history.end()));
    CHECK(second.front() == 10);
    CHECK(std::is_sorted(second.begin(), second.end()));
    CHECK(std::set<ItemId>(second.begin(), second.end()).size() == second.size());
    kept += static_cast<Index>(second.size()) - 1;
  }
  CHECK(std::abs(static_cast<double>(kept) / 2000 - 0.8) < 0.03);
}

TEST_CASE("UniSRec is pre-trained, the same on any number of threads, then learns and is saved") {
  const auto split = simgr_test::walks(40);
  const train::ContrastOptions options{.epochs = 12, .batch = 40, .rate = 5e-3};
  std::vector<double> losses;
  UniSRec model(with_texts(40), small_unisrec(), 3), again(with_texts(40), small_unisrec(), 3);
  const std::vector<float> rows = tensor_of(model, "encoder.embedding.items"),
                           experts = tensor_of(model, "encoder.embedding.experts.weight");
  train::pretrain(model, split, options,
                  [&](const train::PretrainReport& report) { losses.push_back(report.loss); });
  REQUIRE(losses.size() == 12);
  CHECK(losses.back() < 0.7 * losses.front());
  CHECK(tensor_of(model, "encoder.embedding.items") == rows);  // not pre-trained
  CHECK(tensor_of(model, "encoder.embedding.experts.weight") != experts);
  cpu::ThreadPool pool(2);
  train::pretrain(again, split, options, Silent{}, pool);
  CHECK(std::equal(model.weights().begin(), model.weights().end(), again.weights().begin()));
  simgr_test::check_learns(
      model, {.epochs = 30, .batch = 16, .evaluate_every = 15, .optimizer = {.rate = 1e-2}}, 0.8);
  simgr_test::check_saved(model);
}

TEST_CASE("UniSRec's pre-training goes on where it was interrupted") {
  const auto split = simgr_test::walks(40);
  simgr_test::check_interrupted_stage(
      3, [] { return UniSRec(with_texts(40), small_unisrec(), 3); },
      [&](UniSRec& model, const auto& observer, const train::StageFile& file) {
        const train::ContrastOptions options{.epochs = 3, .batch = 40, .rate = 5e-3};
        train::pretrain(model, split, options, observer, Serial{}, file);
      });
}

TEST_CASE("UniSRec's pre-training says which option is out of range") {
  UniSRec model(with_texts(40), small_unisrec(), 3);
  CHECK_THROWS_WITH_AS(train::pretrain(model, simgr_test::walks(40), {.drop = 2}),
                       "pretraining.drop: expected 0 to 0.99, found 2", ConfigError);
}

TEST_CASE("a UniSRec begins with the weights of one of other items, but for their rows") {
  UniSRec of_forty(with_texts(40), small_unisrec(), 3),
      of_others(with_texts(25), small_unisrec(), 8);
  const std::vector<float> rows = tensor_of(of_others, "encoder.embedding.items");
  train::begin_with(of_others, of_forty);
  for (const TensorEntry& tensor : of_others.table().tensors) {
    CAPTURE(tensor.name);
    CHECK(tensor_of(of_others, tensor.name) ==
          (tensor.name == "encoder.embedding.items" ? rows : tensor_of(of_forty, tensor.name)));
  }
  UniSRec::Config narrow = small_unisrec();
  narrow.encoder.width = 8;
  UniSRec of_another_width(with_texts(40), narrow, 3);
  CHECK_THROWS_WITH_AS(train::begin_with(of_another_width, of_forty),
                       "weights to begin with: expected encoder.embedding.experts.weight [64, 12], "
                       "found encoder.embedding.experts.weight [128, 12]",
                       ShapeError);
}
