// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/rpg.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/tokenizer/random_ids.hpp>
#include <simgr/train/trainer.hpp>

#include <support/learnt_world.hpp>
#include <support/temporary_folder.hpp>

namespace {

using namespace simgr;

struct SmallWorld {
  Catalogue catalogue{.items = 60};
  std::vector<ItemId> values;
  std::vector<Index> offsets{0};

  SmallWorld() {
    catalogue.ids = tokenizer::random_ids(60, {.levels = 4, .codes = 8});
    Rng rng(5);
    for (Index user = 0; user < 9; ++user) {
      for (Index t = 0; t <= user; ++t) { values.push_back(static_cast<ItemId>(rng.below(60))); }
      offsets.push_back(static_cast<Index>(values.size()));
    }
  }
  RaggedView<ItemId> histories() const { return {values, offsets}; }
};

template <class M>
M model_of(const SmallWorld& world, typename M::Config config = {}) {
  config.encoder.width = 16;
  config.encoder.heads = 2;
  return M(world.catalogue, config, 3);
}

template <class M>
std::vector<Recommended> lists_of(const M& model, RaggedView<ItemId> histories, Index k,
                                  const RecommendOptions& options, std::vector<Index>& found) {
  std::vector<Recommended> list(static_cast<std::size_t>(histories.sequences() * k));
  found.assign(static_cast<std::size_t>(histories.sequences()), 0);
  model.recommend(histories, k, options, list, {found.data(), {histories.sequences()}});
  return list;
}

}  // namespace

TEST_CASE("a graph in which everything is linked gives the lists of all scores") {
  SmallWorld world;
  SUBCASE("digits of few codes, compared once") {}
  SUBCASE("a digit of many, compared for each item anew") {
    world.catalogue.ids.codes_per_digit[1] = 2000;
  }
  const auto all = model_of<baselines::Rpg>(world);
  using ByGraph = baselines::RpgByGraph;
  const auto graph =
      model_of<ByGraph>(world, {.ranker = {.beam = 1, .neighbours = 1000, .rounds = 1}});
  std::vector<Index> found, found_by_graph;
  const auto expected = lists_of(all, world.histories(), 10, {}, found);
  const auto listed = lists_of(graph, world.histories(), 10, {}, found_by_graph);
  CHECK(found == found_by_graph);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(expected[i].item == listed[i].item);
    CHECK(expected[i].score == doctest::Approx(listed[i].score));
  }
}

TEST_CASE("a model file serves under another ranker") {
  const simgr_test::TemporaryFolder folder;
  const SmallWorld world;
  const auto graph =
      model_of<baselines::RpgByGraph>(world, {.ranker = {.beam = 60, .neighbours = 60}});
  graph.save(folder.file("graph.simgr"));
  const auto all = baselines::Rpg::load(folder.file("graph.simgr"));
  all.save(folder.file("all.simgr"));
  const auto again = baselines::RpgByGraph::load(folder.file("all.simgr"));
  CHECK(again.config().ranker.beam == 20);
  const std::vector<ItemId> history{4, 5};
  const auto first = graph.recommend(history, 5), second = all.recommend(history, 5);
  REQUIRE(first.size() == second.size());
  for (std::size_t i = 0; i < first.size(); ++i) { CHECK(first[i].item == second[i].item); }
}

TEST_CASE("lists of the graph are valid, unique, sorted, and the same for a user alone") {
  const SmallWorld world;
  const auto model =
      model_of<baselines::RpgByGraph>(world, {.ranker = {.beam = 3, .neighbours = 4, .rounds = 2}});
  const std::vector<ItemId> deny{1, 2, 3}, allow{1, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  for (const ranker::Seen seen : {ranker::Seen::keep, ranker::Seen::zero, ranker::Seen::remove}) {
    std::vector<Index> found;
    const RecommendOptions options{.seen = seen, .deny = deny};
    const auto list = lists_of(model, world.histories(), 100, options, found);
    for (Index user = 0; user < 9; ++user) {
      const Index count = found[static_cast<std::size_t>(user)];
      CHECK(count > 0);
      CHECK(count <= 3 + 4 * 3 * 2 + 9);
      std::set<ItemId> met;
      const auto history = world.histories()[user];
      for (Index place = 0; place < count; ++place) {
        const Recommended& one = list[static_cast<std::size_t>(user * 100 + place)];
        CHECK(met.insert(one.item).second);
        CHECK(std::find(deny.begin(), deny.end(), one.item) == deny.end());
        if (seen == ranker::Seen::remove) {
          CHECK(std::find(history.begin(), history.end(), one.item) == history.end());
        }
        if (place > 0) {
          CHECK(one.score <= list[static_cast<std::size_t>(user * 100 + place - 1)].score);
        }
      }
      const auto alone = model.recommend(history, 100, options);
      REQUIRE(static_cast<Index>(alone.size()) == count);
      for (Index place = 0; place < count; ++place) {
        CHECK(alone[static_cast<std::size_t>(place)].item ==
              list[static_cast<std::size_t>(user * 100 + place)].item);
      }
    }
  }
  for (const Recommended& one : model.recommend(world.histories()[3], 100, {.allow = allow})) {
    CHECK(std::find(allow.begin(), allow.end(), one.item) != allow.end());
  }
}

TEST_CASE("RPG learns, is saved, and scores new items by their codes") {
  SmallWorld world;  // digits that each follow from those before: what RPG can know
  world.catalogue.ids = {OwnedMatrix<std::int32_t>(60, 2), {8, 8}};
  for (ItemId item = 0; item < 60; ++item) {
    world.catalogue.ids.codes.view()(item, 0) = item / 8;
    world.catalogue.ids.codes.view()(item, 1) = item % 8;
  }
  auto model = model_of<baselines::Rpg>(world, {.encoder = {.dropout = 0, .attention_dropout = 0}});
  simgr_test::check_learns(model, {.epochs = 40, .batch = 8, .optimizer = {.rate = 1e-2}}, 0.5);
  simgr_test::check_saved_and_extended(model);
}
