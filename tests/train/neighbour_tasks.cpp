// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/neighbour_tasks.hpp>

#include <cmath>

#include <doctest/doctest.h>

#include <support/task_gradients.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/nn/digit_pooler.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/ranker/exact_token_scores.hpp>
#include <simgr/ranker/trie_beam.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>
#include <simgr/train/trainer.hpp>
#include <simgr/train/training_state.hpp>

using namespace simgr;

namespace {

using Reader = TransformerEncoder<SemanticEmbedding, Causal>;
using Spelling = Recommender<Reader, EveryDigit, InnerProduct<DigitCodebooks>, DigitCrossEntropy,
                             ranker::TrieBeam>;
using Related = with_tasks<Spelling, NextItem, CollaborativeNeighbours, SemanticNeighbours>;
static_assert(
    std::is_same_v<with_ranker<Related, ranker::ExactTokenScores>::TasksType, Related::TasksType>);
static_assert(Related::learns_neighbours && !Spelling::learns_neighbours);

/// Six items of two digits; item 5 has no neighbours.
Catalogue related_items() {
  Catalogue catalogue{.items = 6};
  catalogue.ids.codes_per_digit = {3, 2};
  catalogue.ids.codes = OwnedMatrix<std::int32_t>(6, 2);
  for (std::int32_t item = 0; item < 6; ++item) {
    catalogue.ids.codes.view()(item, 0) = item / 2;
    catalogue.ids.codes.view()(item, 1) = item % 2;
    const std::vector<ItemId> near{(item + 2) % 5, (item + 1) % 5}, alike{(item + 3) % 5};
    catalogue.relations.collaborative.push_back(item < 5 ? near : std::vector<ItemId>());
    catalogue.relations.semantic.push_back(item < 5 ? alike : std::vector<ItemId>());
  }
  return catalogue;
}
template <class Model>
Model small_model(Catalogue catalogue, Index max_length = 6) {
  typename Model::Config config;
  config.encoder.width = 8;
  config.encoder.layers = 1;
  config.encoder.heads = 2;
  config.encoder.max_length = max_length;
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  config.encoder.deviation = config.encoder.embedding.deviation = 0.3;
  return Model(std::move(catalogue), config, 3);
}
data::Split two_walks() {
  data::Split split;
  split.items = 6;
  split.train.values = {0, 1, 2, 5, 3, 4};
  split.train.offsets = {0, 4, 6};
  return split;
}
/// The loss of the first step, and the weights after `epochs`.
template <class Model>
double first_loss(Model& model, train::FitOptions options) {
  options.batch = 2;
  options.evaluate_every = 0;
  double loss = -1;
  model.fit(two_walks(), options, [&](const auto& report) {
    loss = loss < 0 ? report.loss : loss;
    return true;
  });
  return loss;
}

}  // namespace

TEST_CASE("a list is spelt behind its item, and every digit of it is predicted") {
  const Related model = small_model<Related>(related_items());
  train::NeighbourExamples examples;
  const ItemId near[] = {4, 3};
  train::NeighbourLists<Related::Parts>::add_example(model.items_view(), 1, near, examples);
  using Tokens = std::vector<std::int32_t>;
  // Item 1 is the rows 0 and 4, item 4 is 2 and 3, item 3 is 1 and 4; the last of all is not read.
  CHECK(examples.tokens == Tokens{train::NeighbourExamples::tag, 0, 4, 2, 3, 1});
  CHECK(examples.places == Tokens{2, 3, 4, 5});
  CHECK(examples.answers == Tokens{4, 3});
  CHECK(examples.offsets == std::vector<Index>{0, 6});
}

TEST_CASE("a model that spells has the gradients of its tasks") {
  Composition<Reader, EveryDigit, InnerProduct<DigitCodebooks>, DigitCrossEntropy, NoFields,
              2>::Config config;
  config.encoder.width = 4;
  config.encoder.layers = 1;
  config.encoder.heads = 2;
  config.encoder.max_length = 5;
  config.encoder.dropout = config.encoder.attention_dropout = 0.2;
  for (const bool left_padded : {false, true}) {
    config.encoder.left_padded = left_padded;
    simgr_test::check_tasks<Reader, EveryDigit, InnerProduct<DigitCodebooks>, DigitCrossEntropy>(
        config);
  }
}

TEST_CASE("so has SimGR, whose tasks are a softmax over items") {
  using E = TransformerEncoder<PooledDigitEmbedding<MeanPlusMlp>, Causal>;
  using S = ScaledCosine<PooledDigits<MeanPlusMlp>>;
  Composition<E, EveryPosition, S, ItemCrossEntropy<>, NoFields, 2>::Config config;
  config.encoder.width = 4;
  config.encoder.layers = 1;
  config.encoder.heads = 2;
  config.encoder.max_length = 5;
  config.encoder.dropout = config.encoder.attention_dropout = 0.2;
  simgr_test::check_tasks<E, EveryPosition, S, ItemCrossEntropy<>>(config);
}

TEST_CASE("the loss is the weighed sum over all tokens by their unweighed number") {
  // Walks predict 3 + 1 items, and 5 items have 2 and 1 neighbours: 8 + 20 + 10 digits.
  const auto loss_of = [](double collaborative, double semantic) {
    Related model = small_model<Related>(related_items());
    train::FitOptions options{.epochs = 1};
    options.collaborative = collaborative;
    options.semantic = semantic;
    return first_loss(model, options);
  };
  Spelling alone = small_model<Spelling>(related_items());
  const double next = 8 * first_loss(alone, {.epochs = 1});  // Σ of the digits of next items
  CHECK(loss_of(0, 0) * 8 == doctest::Approx(next).epsilon(1e-6));
  // Σ of each task's digits, item by item and answer by answer.
  const Related model = small_model<Related>(related_items());
  using Lists = train::NeighbourLists<Related::Parts>;
  const auto sum_of = [&](const Ragged<ItemId>& lists, Index tag) {
    double sum = 0;
    for (ItemId item = 0; item < 6; ++item) {
      train::NeighbourExamples one;
      Lists::add_example(model.items_view(), item, lists[item], one);
      std::vector<float> gradient(static_cast<std::size_t>(model.table().trained_size));
      const auto grads = bind_trained<Related::Parts>(model.config(), gradient.data());
      Arena arena;
      cpu::Context ctx{arena, true};
      Related::Parts::Shared<float> shared;
      Related::Parts::Cache<float> cache;
      Related::Parts::prepare(model.config(), model.params(), model.items_view(), {}, shared, ctx);
      const auto into = Related::Parts::shared_gradient(model.config(), grads, ctx);
      sum += Lists::value_and_gradient<float, Host>(model.config(), model.params(), grads, shared,
                                                    into, model.items_view(), one, tag, {}, 2.0f,
                                                    cache, ctx);  // two digits an item
    }
    return sum;
  };
  const double near = sum_of(model.catalogue().relations.collaborative, 0),
               alike = sum_of(model.catalogue().relations.semantic, 1);
  CHECK(near > 1);
  CHECK(alike > 1);
  CHECK(loss_of(1, 1) == doctest::Approx((next + near + alike) / 38).epsilon(1e-5));
  CHECK(loss_of(0.5, 3) == doctest::Approx((next + 0.5 * near + 3 * alike) / 38).epsilon(1e-5));
  CHECK(loss_of(0, 2) == doctest::Approx((next + 2 * alike) / 18).epsilon(1e-5));
}

TEST_CASE("a model with tasks is served as the model without them") {
  const simgr_test::TemporaryFolder folder;
  Related model = small_model<Related>(related_items());
  train::FitOptions options{.epochs = 30};
  options.optimizer.rate = 0.03;
  const double before = first_loss(model, options);
  Related again = model.load((model.save(folder.file("m")), folder.file("m")));
  CHECK(again.catalogue().relations.collaborative.sequences() == 0);  // of training alone
  const Spelling plain = Spelling::load(folder.file("m"));
  const ItemId history[] = {0, 3};
  const auto lists = model.recommend(history, 4), others = plain.recommend(history, 4);
  REQUIRE(lists.size() == others.size());
  CHECK(!lists.empty());
  for (std::size_t i = 0; i < lists.size(); ++i) {
    CHECK(lists[i].item == others[i].item);
    CHECK(lists[i].score == others[i].score);
  }
  // What the tasks teach is learnt: the same loss of the trained weights.
  Related trained(related_items(), model.config(), std::as_const(model).weights());
  CHECK(first_loss(trained, {.epochs = 1}) < before / 2);
  // Without weights they change nothing.
  Related idle = small_model<Related>(Catalogue{.items = 6, .ids = related_items().ids});
  Spelling alone = small_model<Spelling>(related_items());
  options.collaborative = options.semantic = 0;
  first_loss(idle, options);
  first_loss(alone, options);
  const auto of = [&](const auto& each) { return each.recommend(history, 1).at(0).score; };
  CHECK(of(idle) == of(alone));
}

TEST_CASE("a run with other neighbours does not go on") {
  const simgr_test::TemporaryFolder folder;
  const data::Split split = two_walks();
  const train::FitOptions options{.epochs = 2, .evaluate_every = 0};
  Related model = small_model<Related>(related_items()),
          same = small_model<Related>(related_items());
  train::Trainer<Related> trainer(model, split, options), next(same, split, options);
  train::save_training_state(trainer, folder.file("s"));
  CHECK(!train::try_load_training_state(next, folder.file("s")));
  Catalogue others = related_items();
  std::swap(others.relations.semantic.values[0], others.relations.semantic.values[1]);
  Related changed = small_model<Related>(std::move(others));
  train::Trainer<Related> refused(changed, split, options);
  const auto failure = train::try_load_training_state(refused, folder.file("s"));
  REQUIRE(failure);
  CHECK(std::string(failure->what()).find("the neighbours of items are others") !=
        std::string::npos);
}

TEST_CASE("neighbours that cannot be taught are refused") {
  const auto refused = [](Catalogue catalogue, Index max_length = 6) {
    try {
      Related model = small_model<Related>(std::move(catalogue), max_length);
      train::NeighbourTasks<Related, CollaborativeNeighbours> tasks(model, {}, {});
    } catch (const Error& error) { return std::string(error.what()); }
    return std::string("accepted");
  };
  CHECK(refused(related_items()) == "accepted");
  Catalogue without = related_items();
  without.relations.collaborative = {};
  CHECK(refused(without) ==
        "catalogue.relations, collaborative-neighbours: expected lists of all items, found none; "
        "make them with simgr/train/relations.hpp, or give the task weight 0");
  Catalogue wrong = related_items();
  wrong.relations.collaborative.values[1] = 6;
  CHECK(refused(wrong) == "catalogue.relations, collaborative-neighbours: item 0: expected "
                          "neighbours from 0 to 5, found 6");
  Catalogue fewer = related_items();
  fewer.relations.semantic.push_back(std::vector<ItemId>{1});
  CHECK(refused(fewer) == "catalogue.relations.semantic: expected 6 items, found 7");
  CHECK(refused(related_items(), 2) ==
        "encoder.max_length: an item with 2 neighbours needs at least 3, found 2");
}
