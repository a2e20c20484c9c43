// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/prompt_tasks.hpp>

#include <algorithm>

#include <doctest/doctest.h>
#include <support/gradient_check.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/prompt_embedding.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/ranker/trie_beam.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/train/trainer.hpp>

using namespace simgr;

namespace {

using AdaptedSpeller =
    Recommender<CausalLm<PromptEmbedding, Lora<Linear>>, EveryDigitOfLast,
                InnerProduct<DigitCodebooks>, DigitCrossEntropy, ranker::TrieBeam>;
using Aligned =
    with_tasks<AdaptedSpeller, NextItem, ItemToIndex, IndexToItem, HistoryToText, TextsToIndex>;
using Words = std::vector<std::int32_t>;

/// Eight words; item i has the words i and 7, item 3 none, and the digits i / 2 and i % 2.
Catalogue worded_catalogue() {
  Catalogue catalogue{.items = 4};
  catalogue.ids.codes_per_digit = {2, 2};
  catalogue.ids.codes = OwnedMatrix<std::int32_t>(4, 2);
  Prompt& prompt = catalogue.prompt;
  prompt.words = 8;
  prompt.wording = {.before = {4}, .between = {5}, .behind = {6}};
  for (std::int32_t item = 0; item < 4; ++item) {
    catalogue.ids.codes.view()(item, 0) = item / 2;
    catalogue.ids.codes.view()(item, 1) = item % 2;
    const Words words{item, 7};
    prompt.texts.push_back(item == 3 ? Words() : words);
  }
  for (const auto name :
       {ItemToIndex::name, IndexToItem::name, HistoryToText::name, TextsToIndex::name}) {
    prompt.tasks.push_back({std::string(name), {.before = {1}, .between = {2}, .behind = {3}}});
  }
  return catalogue;
}
template <class Model>
Model speller(Catalogue catalogue = worded_catalogue(), Index longest = 24) {
  typename Model::Config config;
  config.encoder.width = 8;
  config.encoder.layers = 1;
  config.encoder.heads = config.encoder.kv_heads = 2;
  config.encoder.inner = 12;
  config.encoder.max_length = 4;
  config.encoder.embedding.longest = longest;
  config.encoder.adapters = {.rank = 0, .frozen = false};
  return Model(std::move(catalogue), config, 3);
}
template <class Tasks>
typename Tasks::Batch examples_of(const Tasks& tasks, Index first, Index last, Index all,
                                  cpu::Context& ctx) {
  typename Tasks::Batch batch;
  const Index tokens = tasks.fill(first, last, all, batch, ctx);
  CHECK(tokens == std::ssize(batch.targets));
  return batch;
}
const std::vector<ItemId> walks{0, 1, 2, 0, 1, 2};
const std::vector<Index> walk_ends{0, 2, 6};

}  // namespace

TEST_CASE("an item's text asks for its id, token by token, and its id for its text") {
  const Aligned model = speller<Aligned>();
  Arena arena;
  cpu::Context ctx{arena};
  train::PromptTasks<Aligned, ItemToIndex> to_index(model, {walks, walk_ends}, {});
  to_index.begin_epoch(0);
  // Items 0 to 2 in some order; item 3 has no text. Digits stand behind the eight words.
  const auto asked = examples_of(to_index, 0, 10, 10, ctx);
  CHECK(asked.offsets == std::vector<Index>{0, 5, 10, 15});
  for (std::size_t e = 0; e < 3; ++e) {
    const std::int32_t item = asked.tokens[e * 5 + 1];
    const std::int32_t first = 8 + item / 2, second = 10 + item % 2;
    CHECK(Words(asked.tokens.begin() + static_cast<std::ptrdiff_t>(e) * 5,
                asked.tokens.begin() + static_cast<std::ptrdiff_t>(e) * 5 + 5) ==
          Words{1, item, 7, 3, first});
    CHECK(asked.targets[e * 2] == first);
    CHECK(asked.targets[e * 2 + 1] == second);
    CHECK(asked.places[e * 2] == static_cast<std::int32_t>(e * 5 + 3));
    CHECK(asked.places[e * 2 + 1] == static_cast<std::int32_t>(e * 5 + 4));
  }
  train::PromptTasks<Aligned, IndexToItem> to_text(model, {walks, walk_ends}, {});
  to_text.begin_epoch(0);
  const auto named = examples_of(to_text, 0, 1, 3, ctx);
  REQUIRE(named.tokens.size() == 5);
  const std::int32_t item = named.targets[0];
  CHECK(named.tokens == Words{1, 8 + item / 2, 10 + item % 2, 3, item});
  CHECK(named.targets == Words{item, 7});
  CHECK(named.places == Words{3, 4});
}

TEST_CASE("a text that is whole ends, and one that was cut does not") {
  for (const auto& [longest, ends] :
       {std::pair(Index{0}, true), std::pair(Index{3}, true), std::pair(Index{2}, false)}) {
    CAPTURE(longest);
    Catalogue catalogue = worded_catalogue();
    catalogue.prompt.end = 5;
    catalogue.prompt.longest_text = longest;
    const Aligned model = speller<Aligned>(std::move(catalogue));
    Arena arena;
    cpu::Context ctx{arena};
    train::PromptTasks<Aligned, IndexToItem, ItemToIndex> tasks(model, {walks, walk_ends}, {});
    tasks.begin_epoch(0);
    const auto named = examples_of(tasks, 0, 1, 3, ctx);
    const std::int32_t item = named.targets[0];
    const Words answer = ends ? Words{item, 7, 5} : Words{item, 7};
    const auto words = static_cast<std::ptrdiff_t>(answer.size());
    CHECK(Words(named.targets.begin(), named.targets.begin() + words) == answer);
    CHECK(named.targets.size() == answer.size() + 2);  // an id has no end
    CHECK(named.offsets[1] == 3 + words);
  }
}

TEST_CASE("a prefix of a user asks for the next item by the other kind of tokens") {
  const Aligned model = speller<Aligned>();
  Arena arena;
  cpu::Context ctx{arena};
  train::PromptTasks<Aligned, HistoryToText> to_text(model, {walks, walk_ends}, {});
  train::PromptTasks<Aligned, TextsToIndex> to_index(model, {walks, walk_ends}, {});
  for (Index epoch = 0; epoch < 8; ++epoch) {
    to_text.begin_epoch(epoch);
    to_index.begin_epoch(epoch);
    // Walks step by one, so the answer follows from the last item that is read.
    const auto texts = examples_of(to_text, 0, 1, 1, ctx);
    REQUIRE(texts.offsets.size() == 3);
    const auto indices = examples_of(to_index, 0, 1, 1, ctx);
    for (std::size_t e = 0; e < 2; ++e) {
      const auto end = static_cast<std::size_t>(texts.offsets[e + 1]);
      const std::int32_t read =
          (texts.tokens[end - 4] - 8) * 2 + texts.tokens[end - 3] - 10;  // digits, 3, the answer
      CHECK(texts.targets[e * 2] == (read + 1) % 3);
      const auto last = static_cast<std::size_t>(indices.offsets[e + 1]);
      const std::int32_t named = indices.tokens[last - 4], next = (named + 1) % 3;
      CHECK(indices.targets[e * 2] == 8 + next / 2);
      CHECK(indices.targets[e * 2 + 1] == 10 + next % 2);
    }
  }
}

TEST_CASE("an item's id asks for the ids of its neighbours, one after another") {
  using Related = with_tasks<AdaptedSpeller, NextItem, CollaborativeNeighbours>;
  Catalogue catalogue = worded_catalogue();
  catalogue.prompt.texts = {};  // nothing reads them
  catalogue.prompt.tasks = {
      {std::string(CollaborativeNeighbours::name), {.before = {1}, .between = {2}, .behind = {3}}}};
  for (const std::vector<ItemId>& list : {std::vector<ItemId>{3, 2, 1}, {}, {}, {}}) {
    catalogue.relations.collaborative.push_back(list);
  }
  const Related tight = speller<Related>(catalogue, 6);
  const Related model = speller<Related>(std::move(catalogue), 7);
  Arena arena;
  cpu::Context ctx{arena};
  train::FitOptions options;
  options.neighbours = 2;
  train::PromptTasks<Related, CollaborativeNeighbours> tasks(model, {walks, walk_ends}, options);
  tasks.begin_epoch(0);
  const auto asked = examples_of(tasks, 0, 5, 5, ctx);
  // Item 0 has the digits 0 and 0, items 3 and 2 have 1 and 1, and 1 and 0.
  CHECK(asked.tokens == Words{1, 8, 10, 3, 9, 11, 9});
  CHECK(asked.targets == Words{9, 11, 9, 10});
  CHECK(asked.places == Words{3, 4, 5, 6});
  using Tasks = train::PromptTasks<Related, CollaborativeNeighbours>;
  CHECK_THROWS_WITH_AS(
      Tasks(tight, {walks, walk_ends}, options),
      "encoder.embedding.longest: an item with 2 neighbours needs at least 7, found 6",
      ConfigError);
}

TEST_CASE("what else a model is taught is no part of its type in files") {
  const Aligned model = speller<Aligned>();
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("model.simgr");
  model.save(path);
  using Related = with_tasks<AdaptedSpeller, NextItem, ItemToIndex, IndexToItem, HistoryToText,
                             TextsToIndex, CollaborativeNeighbours, SemanticNeighbours>;
  const Related again = Related::load(path);
  CHECK(std::ranges::equal(again.weights(), model.weights()));
}

TEST_CASE("every example of an epoch belongs to one step") {
  const Aligned model = speller<Aligned>();
  Arena arena;
  cpu::Context ctx{arena};
  train::PromptTasks<Aligned, ItemToIndex, HistoryToText> tasks(model, {walks, walk_ends}, {});
  tasks.begin_epoch(2);
  std::size_t examples = 0;
  for (Index step = 0; step < 7; ++step) {
    examples += examples_of(tasks, step, step + 1, 7, ctx).offsets.size() - 1;
  }
  CHECK(examples == 3 + 2);
}

TEST_CASE("alignment teaches what an item's text and its id have to do with each other") {
  const data::Split split = [] {
    data::Split made;
    made.items = 4;
    made.train.values = walks;
    made.train.offsets = walk_ends;
    return made;
  }();
  const auto loss_of_last_epoch = [&](auto model, double weight) {
    train::FitOptions options{.epochs = 60, .batch = 2, .evaluate_every = 0};
    options.alignment = weight;
    options.optimizer.rate = 0.03;
    double loss = 0;
    model.fit(split, options, [&](const auto& report) {
      loss = report.loss;
      return true;
    });
    return loss;
  };
  // The next item follows from the last one; texts and ids are one to one, but the word 7.
  const double alone = loss_of_last_epoch(speller<AdaptedSpeller>(), 1),
               without = loss_of_last_epoch(speller<Aligned>(), 0),
               with = loss_of_last_epoch(speller<Aligned>(), 1);
  CHECK(alone < 0.2);
  CHECK(without == alone);
  CHECK(with > alone);  // it has more to learn
  CHECK(with < 0.6);    // and learns it: before, a token costs log 12 = 2.5
}

TEST_CASE("words and digits that are predicted have gradients, by what is read or apart from it") {
  using Tasks = train::PromptTasks<Aligned, ItemToIndex, IndexToItem, HistoryToText, TextsToIndex>;
  using Parts = Aligned::Parts;
  for (const bool untied : {false, true}) {
    for (const bool frozen : {false, true}) {
      CAPTURE(untied);
      CAPTURE(frozen);
      Aligned::Config config = speller<Aligned>().config();
      config.encoder.embedding.untied = untied;
      config.encoder.adapters = {.rank = frozen ? 2 : 0, .alpha = 4, .frozen = frozen};
      const Aligned model(worded_catalogue(), config, 3);
      config = model.config();
      Arena arena;
      cpu::Context ctx{arena, true, 3, 0};
      Tasks tasks(model, {walks, walk_ends}, {});
      tasks.begin_epoch(0);
      const Tasks::Batch batch = examples_of(tasks, 0, 1, 1, ctx);
      const ParameterTable& table = model.table();
      std::vector<double> weights = simgr_test::random_values(table.block_size, 5, 0.4),
                          gradient(weights.size());
      const auto params = bind<Parts>(config, weights.data()),
                 grads = bind<Parts>(config, gradient.data());
      const auto loss = [&](const Parts::Params<double>& into) {
        Arena::Scope scope(arena);
        AdaptedSpeller::EncoderType::Cache<double> cache;
        return Tasks::losses<double>(config, params, into, params.encoder.embedding.table,
                                     into.encoder.embedding.table, batch, 0.5, cache, ctx);
      };
      loss(grads);
      std::vector<double> aside(weights.size());
      const auto elsewhere = bind<Parts>(config, aside.data());
      std::vector<simgr_test::Block> blocks;
      for (const TensorEntry& tensor : table.trained_tensors()) {
        const auto at = static_cast<std::size_t>(tensor.offset),
                   size = static_cast<std::size_t>(tensor.size);
        blocks.push_back({tensor.name, std::span(weights).subspan(at, size),
                          std::span<const double>(gradient).subspan(at, size)});
      }
      simgr_test::compare_with_differences(
          blocks, [&] { return loss(elsewhere); }, 1e-7);
      const auto moved = [&](std::string_view name) {
        return std::any_of(blocks.begin(), blocks.end(), [&](const simgr_test::Block& block) {
          return block.name == name &&
                 std::ranges::any_of(block.gradient, [](double g) { return g != 0; });
        });
      };
      CHECK(moved("encoder.embedding.head_digits") == untied);
      CHECK(moved("encoder.embedding.head") == (untied && !frozen));
      CHECK(moved("encoder.embedding.table") == !frozen);
      CHECK(moved("encoder.embedding.digits"));
    }
  }
}

TEST_CASE("tasks without texts or wordings are refused") {
  Catalogue without = worded_catalogue();
  without.prompt.texts = {};
  const Aligned no_texts = speller<Aligned>(std::move(without));
  using Task = train::PromptTasks<Aligned, ItemToIndex>;
  CHECK_THROWS_AS(Task(no_texts, {walks, walk_ends}, {}), ConfigError);
  Catalogue unsaid = worded_catalogue();
  unsaid.prompt.tasks.clear();
  const Aligned no_wording = speller<Aligned>(std::move(unsaid));
  CHECK_THROWS_WITH_AS(Task(no_wording, {walks, walk_ends}, {}),
                       "catalogue.prompt.tasks: no wording of item-to-index", ConfigError);
}
