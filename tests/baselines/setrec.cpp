// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/setrec.hpp>

#include <algorithm>
#include <limits>

#include <doctest/doctest.h>

#include <support/allocations.hpp>
#include <support/learnt_world.hpp>
#include <support/whole_model.hpp>

#include <simgr/io/model_file.hpp>
#include <simgr/train/trainer.hpp>

namespace {

using namespace simgr;
using baselines::SetRec;
using SetReader = EncoderAndQueries<SetEmbedding>;

SetReader::Config small_reader() {
  return {.width = 16,
          .layers = 2,
          .decoder_layers = 2,
          .heads = 3,
          .head_width = 6,
          .inner = 24,
          .dropout = 0,
          .deviation = 1,
          .embedding = {.semantic = 3, .hidden = 24, .hidden_layers = 2, .item_width = 8}};
}

/// Forty items with a vector each, drawn.
Catalogue described_items(Index items = 40) {
  Catalogue catalogue{.items = items};
  catalogue.text_vectors = OwnedMatrix<float>(items, 12);
  Rng rng(8);
  for (float& value : catalogue.text_vectors.values) { value = static_cast<float>(rng.normal()); }
  return catalogue;
}

Ragged<ItemId> some_histories(Index items) {
  Ragged<ItemId> histories;
  Rng rng(5);
  for (Index user = 0; user < 9; ++user) {
    std::vector<ItemId> history;
    for (Index t = 0; t < 1 + user * 5 % 23; ++t) {
      history.push_back(static_cast<ItemId>(rng.below(items)));
    }
    histories.push_back(history);
  }
  return histories;
}

/// States of some histories in double, with every parameter and every row in the caller's hand.
struct ReaderInDouble {
  SetReader::Config config = small_reader();
  ParameterTable table;
  std::vector<double> weights;
  std::vector<double> rows;  // [items · vectors, width]

  explicit ReaderInDouble(Index items) {
    config.catalogue = {items, 0, 0, 12};
    table = describe<SetReader>(config);
    weights = simgr_test::random_values(table.block_size, 3, 0.4);
    rows = simgr_test::random_values(items * config.queries() * config.width, 4);
  }
  std::vector<double> states(RaggedView<ItemId> histories) {
    Arena arena;
    cpu::Context ctx{arena};
    SetReader::Cache<double> cache;
    const auto params = bind<SetReader>(config, weights.data());
    const Index items = config.catalogue.items;
    const Matrix<double> y = SetReader::forward(
        config, params, Matrix<const double>(rows.data(), {items * config.queries(), config.width}),
        ItemsView<>{items, {}}, histories, cache, ctx);
    return {y.begin(), y.end()};
  }
};

}  // namespace

TEST_CASE("SETRec gives the gradient of every weight, dropout and reconstruction included") {
  for (const double dropout : {0.0, 0.2}) {
    SetReader::Config encoder{
        .width = 5,
        .layers = 1,
        .decoder_layers = 2,
        .heads = 2,
        .head_width = 3,
        .inner = 7,
        .max_length = 5,
        .dropout = dropout,
        .buckets = 8,
        .farthest = 9,
        .embedding = {.semantic = 2, .hidden = 6, .hidden_layers = 2, .item_width = 3}};
    simgr_test::check_whole_model<SetReader, EveryQuery, InnerProduct<ItemSets>, SetCrossEntropy>(
        {.encoder = encoder}, 1e-7, simgr_test::ToyWorld(dropout > 0 ? 6 : 0));  // given, trained
  }
}

TEST_CASE("the queries of SETRec do not influence each other") {
  const Ragged<ItemId> histories = some_histories(40);
  ReaderInDouble reader(40);
  const auto before = reader.states(histories);
  const Index width = reader.config.width, queries = reader.config.queries();
  const auto entry =
      std::find_if(reader.table.tensors.begin(), reader.table.tensors.end(),
                   [](const TensorEntry& tensor) { return tensor.name == "queries"; });
  REQUIRE(entry != reader.table.tensors.end());
  for (Index moved = 0; moved < queries; ++moved) {
    const auto at = static_cast<std::size_t>(entry->offset + moved * width);
    const double weight = reader.weights[at];
    reader.weights[at] = weight + 1;
    const auto after = reader.states(histories);
    reader.weights[at] = weight;
    REQUIRE(after.size() == static_cast<std::size_t>(9 * queries * width));
    double others = 0, least_own = 1e9;
    for (Index row = 0; row < 9 * queries; ++row) {
      double apart = 0;
      for (Index k = 0; k < width; ++k) {
        const auto place = static_cast<std::size_t>(row * width + k);
        apart = std::max(apart, std::abs(after[place] - before[place]));
      }
      if (row % queries == moved) {
        least_own = std::min(least_own, apart);
      } else {
        others = std::max(others, apart);
      }
    }
    CHECK(others == 0);
    CHECK(least_own > 1e-3);
  }
}

TEST_CASE("the order of an item's vectors means nothing to SETRec, the order of items does") {
  const Ragged<ItemId> histories = some_histories(40);
  ReaderInDouble reader(40);
  const auto before = reader.states(histories);
  const Index width = reader.config.width, each = reader.config.queries();
  const std::vector<double> rows = reader.rows;
  for (Index item = 0; item < 40; ++item) {  // turn the vectors of each item, each otherwise
    for (Index j = 0; j < each; ++j) {
      const Index from = item * each + (j + item) % each, to = item * each + j;
      std::copy_n(rows.begin() + from * width, width, reader.rows.begin() + to * width);
    }
  }
  const auto after = reader.states(histories);
  double apart = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    apart = std::max(apart, std::abs(after[i] - before[i]));
  }
  CHECK(apart < 1e-11);

  reader.rows = rows;
  Ragged<ItemId> forwards, backwards;
  forwards.push_back(std::vector<ItemId>{1, 2, 3});
  backwards.push_back(std::vector<ItemId>{3, 2, 1});
  const auto one = reader.states(forwards), other = reader.states(backwards);
  double turned = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    turned = std::max(turned, std::abs(one[i] - other[i]));
  }
  CHECK(turned > 1e-3);
}

TEST_CASE(
    "SETRec scores are the weighted sum over the vectors of a set, for any beta and any users") {
  for (const double beta : {0.0, 0.3, 1.0}) {
    const SetRec model(described_items(), {.encoder = small_reader(), .candidates = {beta}}, 3);
    const Index each = 4, width = 16;
    REQUIRE(model.query_width() == each * width);
    const Ragged<ItemId> histories = some_histories(40);
    OwnedMatrix<float> states(9, each * width), scores(9, 40);
    model.encode(histories, states.view());
    model.score(histories, scores.view());
    Arena arena;
    cpu::Context ctx{arena};
    SetRec::Parts::Embedding::Cache<float> cache;
    const auto rows =
        SetEmbedding::rows(model.config().encoder.embedding_shape(),
                           model.params().encoder.embedding, model.items_view(), cache, ctx);
    for (Index user = 0; user < 9; ++user) {
      for (Index item = 0; item < 40; ++item) {
        double sum = 0;
        for (Index j = 0; j < each; ++j) {
          double product = 0;
          for (Index k = 0; k < width; ++k) {
            product += static_cast<double>(states.view()(user, j * width + k)) *
                       static_cast<double>(rows(item * each + j, k));
          }
          sum += (j == 0 ? 1 - beta : beta) * product;
        }
        CHECK(scores.view()(user, item) == doctest::Approx(sum).epsilon(1e-4));
      }
    }
    // Users in another order: the same lists.
    Ragged<ItemId> turned;
    for (Index user = 8; user >= 0; --user) { turned.push_back(histories[user]); }
    std::vector<Recommended> list(9 * 5), other(9 * 5);
    std::vector<Index> found(9), found_other(9);
    model.recommend(histories, 5, {}, list, {found.data(), {9}});
    model.recommend(turned, 5, {}, other, {found_other.data(), {9}});
    for (std::size_t user = 0; user < 9; ++user) {
      REQUIRE(found[user] == 5);
      for (std::size_t place = 0; place < 5; ++place) {
        const Recommended &one = list[user * 5 + place], &again = other[(8 - user) * 5 + place];
        CHECK(one.item == again.item);
        CHECK(one.score == doctest::Approx(again.score).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("SETRec serves without an allocation once warm") {
  const SetRec model(described_items(), {.encoder = small_reader()}, 3);
  const std::vector<ItemId> history{7, 8, 9, 7};
  std::vector<Recommended> list(10);
  for (int call = 0; call < 3; ++call) { model.recommend(history, {}, list); }
  const auto before = simgr_test::allocations();
  CHECK(model.recommend(history, {}, list) == 10);
  CHECK(simgr_test::allocations() == before);
}

TEST_CASE("SETRec learns, and is saved with the vectors of its texts" *
          doctest::test_suite("heavy")) {
  SetRec model(described_items(), {.encoder = small_reader()}, 3);
  simgr_test::check_learns(
      model, {.epochs = 40, .batch = 16, .evaluate_every = 20, .optimizer = {.rate = 5e-3}}, 0.5);
  const SetRec loaded = simgr_test::check_saved(model);
  // Weights serve with any beta.
  SetRec::Config config = model.config();
  config.candidates.beta = 1;
  const SetRec by_text(model.catalogue(), config, std::as_const(model).weights());
  const std::vector<ItemId> history{7, 8, 9};
  CHECK(by_text.recommend(history, 1).front().score != loaded.recommend(history, 1).front().score);
}

TEST_CASE("SETRec holds item vectors that are given, and is saved with them") {
  Catalogue catalogue = described_items();
  catalogue.item_vectors = OwnedMatrix<float>(40, 5);
  for (std::size_t i = 0; i < 200; ++i) {
    catalogue.item_vectors.values[i] = static_cast<float>(i % 7) - 3;
  }
  SetRec model(catalogue, {.encoder = small_reader()}, 3);
  const auto& tensors = model.table().tensors;
  CHECK(std::none_of(tensors.begin(), tensors.end(), [](const TensorEntry& tensor) {
    return tensor.name == "encoder.embedding.items";
  }));
  model.fit(simgr_test::walks(40), {.epochs = 2, .batch = 16});
  CHECK(model.catalogue().item_vectors.values == catalogue.item_vectors.values);
  CHECK(simgr_test::check_saved(model).catalogue().item_vectors.cols == 5);
  catalogue.item_vectors.values[13] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(SetRec(catalogue, {.encoder = small_reader()}, 3),
                       "catalogue.item_vectors: item 2: found a number that is not finite",
                       DataError);
}

TEST_CASE("SETRec says that it needs text vectors, and where they come from") {
  try {
    const SetRec model(Catalogue{.items = 5});
    FAIL("built without text vectors");
  } catch (const ConfigError& error) {
    const std::string sentence = error.what();
    INFO(sentence);
    CHECK(sentence.find("catalogue.text_vectors") != std::string::npos);
    CHECK(sentence.find("simgr::text::text_vectors") != std::string::npos);
  }
}
