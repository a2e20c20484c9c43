// SPDX-License-Identifier: Apache-2.0
// TIGER that learns the neighbours of items, too.
#include <simgr/baselines/letter.hpp>

#include <algorithm>

#include <doctest/doctest.h>

#include <support/learnt_world.hpp>
#include <support/small_speller.hpp>
#include <support/task_gradients.hpp>

namespace {

using namespace simgr;
using baselines::Tiger;
using RelatedTiger = with_tasks<Tiger, NextItem, CollaborativeNeighbours, SemanticNeighbours>;
using TigerLists = train::NeighbourLists<RelatedTiger::Parts>;

template <class Model>
Model small_tiger(double dropout = 0) {
  const auto c = simgr_test::small_speller(baselines::letter_defaults.model);
  typename Model::Config config{c.encoder, c.pooler, c.similarity, c.candidates, c.loss, c.ranker};
  config.encoder.dropout = dropout;
  return Model(simgr_test::related(simgr_test::forty_items()), config, 3);
}
/// Mean cross-entropy of a digit of what the lists say of every item.
double loss_of_digits(const RelatedTiger& model, Index tag, const auto& list_of) {
  train::NeighbourExamples asked;
  for (ItemId item = 0; item < 40; ++item) {
    const std::vector<ItemId> list = list_of(item);
    TigerLists::add_example(model.items_view(), item, list, asked);
  }
  using Parts = RelatedTiger::Parts;
  std::vector<float> gradient(static_cast<std::size_t>(model.table().trained_size));
  const auto grads = bind_trained<Parts>(model.config(), gradient.data());
  Arena arena;
  cpu::Context ctx{arena};
  Parts::Shared<float> shared;
  Parts::Cache<float> cache;
  Parts::prepare(model.config(), model.params(), model.items_view(), {}, shared, ctx);
  const auto into = Parts::shared_gradient(model.config(), grads, ctx);
  return TigerLists::value_and_gradient<float, Host>(model.config(), model.params(), grads, shared,
                                                     into, model.items_view(), asked, tag, {}, 1.0f,
                                                     cache, ctx) /
         static_cast<double>(asked.answers.size());
}

}  // namespace

TEST_CASE("TIGER's encoder reads the item, and its decoder spells the list behind the start") {
  const RelatedTiger model = small_tiger<RelatedTiger>();
  const ItemsView<> items = model.items_view();
  train::NeighbourExamples asked;
  const ItemId near[] = {4, 3};
  TigerLists::add_example(items, 1, near, asked);
  TigerLists::add_example(items, 9, {}, asked);  // nothing to spell: no example
  TigerLists::add_example(items, 2, std::span(near).first(1), asked);
  const Index digits = items.digit_rows.cols();
  std::vector<std::int32_t> known;
  const auto spell = [&](ItemId item, Index count, std::vector<std::int32_t>& into) {
    for (Index l = 0; l < count; ++l) { into.push_back(items.digit_rows(item, l)); }
  };
  for (const ItemId item : {1, 2}) {
    spell(4, item == 1 ? digits : digits - 1, known);
    spell(3, item == 1 ? digits - 1 : 0, known);
  }
  CHECK(asked.asked == std::vector<ItemId>{1, 2});
  CHECK(asked.known == known);  // but the last digit of each list
  CHECK(asked.states == std::vector<Index>{0, 2 * digits, 3 * digits});
  CHECK(asked.answers == std::vector<ItemId>{4, 3, 4});
  CHECK(asked.anchors == std::vector<ItemId>{1, 1, 2});
}

/// @param seed  of weights for which no difference steps over a corner of the net
template <class Net>
void check_gradients_of_tasks(std::uint64_t seed) {
  using E = EncoderDecoder<SemanticEmbedding, Net>;
  typename Composition<E, EveryDigitOfLast, InnerProduct<DigitCodebooks>, DigitCrossEntropy,
                       NoFields, 2>::Config config;
  config.encoder = simgr_test::tiny_speller<E>();
  config.candidates.support = DigitSupport::whole;
  config.loss.temperature = 0.7;
  simgr_test::check_tasks<E, EveryDigitOfLast, InnerProduct<DigitCodebooks>, DigitCrossEntropy>(
      config, seed);
}
TEST_CASE("TIGER has the gradients of its tasks, dropout included") {
  check_gradients_of_tasks<FeedForward<Relu>>(6);
  check_gradients_of_tasks<FeedForward<GeluTanh, Gated>>(5);
}

TEST_CASE("TIGER learns to spell neighbours, in their order and as they are asked for") {
  RelatedTiger model = small_tiger<RelatedTiger>();
  const auto list = [&](const Ragged<ItemId>& lists) {
    return [&](ItemId item) { return std::vector<ItemId>(lists[item].begin(), lists[item].end()); };
  };
  const Relations lists = model.catalogue().relations;
  const auto near = list(lists.collaborative), alike = list(lists.semantic);
  CHECK(loss_of_digits(model, 0, near) > 1);
  CHECK(loss_of_digits(model, 1, alike) > 1);
  simgr_test::check_learns(
      model, {.epochs = 80, .batch = 16, .evaluate_every = 0, .optimizer = {.rate = 5e-3}}, 0.2);
  CHECK(loss_of_digits(model, 0, near) < 0.3);
  CHECK(loss_of_digits(model, 1, alike) < 0.3);
  CHECK(loss_of_digits(model, 0, alike) > 1);  // the tag tells the tasks apart
  CHECK(loss_of_digits(model, 0, [&](ItemId item) {
          std::vector<ItemId> reversed = near(item);
          std::reverse(reversed.begin(), reversed.end());
          return reversed;
        }) > 1);
  CHECK(loss_of_digits(model, 0, [&](ItemId item) { return near((item + 1) % 40); }) > 1);

  // What it saved is TIGER's file.
  const simgr_test::TemporaryFolder folder;
  model.save(folder.file("m"));
  const Tiger plain = Tiger::load(folder.file("m"));
  const ItemId history[] = {7, 8, 9};
  const auto of_related = model.recommend(history, 10), of_plain = plain.recommend(history, 10);
  REQUIRE(of_related.size() == 10);
  REQUIRE(of_plain.size() == 10);
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(of_related[i].item == of_plain[i].item);
    CHECK(of_related[i].score == of_plain[i].score);
  }
}

TEST_CASE("without weight the tasks change no bit of TIGER") {
  const auto trained = [](auto model, double weight) {
    train::FitOptions options{.epochs = 3, .batch = 16, .evaluate_every = 1};
    options.collaborative = options.semantic = weight;
    model.fit(simgr_test::walks(40), options);
    const auto weights = std::as_const(model).weights();
    return std::vector<float>(weights.begin(), weights.end());
  };
  const std::vector<float> plain = trained(small_tiger<Tiger>(0.1), 1),
                           idle = trained(small_tiger<RelatedTiger>(0.1), 0),
                           taught = trained(small_tiger<RelatedTiger>(0.1), 1);
  REQUIRE(idle.size() == plain.size() + 2 * 16);  // the tags, behind all others
  CHECK(std::equal(plain.begin(), plain.end(), idle.begin()));
  CHECK(!std::equal(plain.begin(), plain.end(), taught.begin()));
}
