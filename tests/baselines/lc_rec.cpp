// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/lc_rec.hpp>

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include <support/allocations.hpp>
#include <support/learnt_world.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/ranker/free_beam.hpp>
#include <simgr/tokenizer/random_ids.hpp>
#include <simgr/train/trainer.hpp>

namespace {

using namespace simgr;
using baselines::LcRec;

/// Sixty items of three digits, and histories of 0 to 49 items, more than fit one part of decoding.
struct SpelledWorld {
  Catalogue catalogue{.items = 60};
  Ragged<ItemId> histories;

  SpelledWorld() {
    catalogue.ids = tokenizer::random_ids(60, {.levels = 3, .codes = 5});
    for (ItemId item = 0; item < 60; ++item) { catalogue.popularity.push_back(item % 7); }
    Rng rng(5);
    for (Index user = 0; user < 50; ++user) {
      std::vector<ItemId> history;
      for (Index t = 0; t < user * 7 % 50; ++t) {
        history.push_back(static_cast<ItemId>(rng.below(60)));
      }
      histories.push_back(history);
    }
  }
};

template <class M = LcRec>
M spelling_model(const SpelledWorld& world, Index width = 20) {
  typename M::Config config;
  config.encoder.width = 16;
  config.encoder.heads = 2;
  config.encoder.max_length = 12;
  config.encoder.deviation = 0.3;
  config.encoder.embedding.deviation = 0.5;
  if constexpr (requires { config.ranker.width; }) {
    config.ranker.width = width;
  }
  return M(world.catalogue, config, 3);
}

}  // namespace

TEST_CASE("LC-Rec lists by beam what it scores exactly, for any batch and the shortest history") {
  const SpelledWorld world;
  const auto model = spelling_model(world, 60);
  const auto exact = spelling_model<with_ranker<LcRec, ranker::ExactTokenScores>>(world);
  const Index users = world.histories.sequences();
  std::vector<Recommended> list(static_cast<std::size_t>(users * 10));
  std::vector<Index> found(static_cast<std::size_t>(users));
  model.recommend(world.histories, 10, {}, list, {found.data(), {users}});
  OwnedMatrix<float> scores(users, 60);
  model.score(world.histories, scores.view());
  for (Index user = 0; user < users; ++user) {
    const auto history = world.histories[user];
    const auto alone = model.recommend(history, 10);
    const auto by_score = exact.recommend(history, 10);
    REQUIRE(static_cast<Index>(alone.size()) == found[static_cast<std::size_t>(user)]);
    REQUIRE(alone.size() == by_score.size());
    std::set<ItemId> met(history.begin(), history.end());
    for (std::size_t place = 0; place < alone.size(); ++place) {
      const Recommended& one = list[static_cast<std::size_t>(user * 10) + place];
      CHECK(met.insert(one.item).second);  // unique and unseen
      CHECK(alone[place].item == one.item);
      CHECK(by_score[place].item == one.item);
      CHECK(alone[place].score == doctest::Approx(one.score).epsilon(1e-5));
      if (!history.empty()) {
        CHECK(scores.view()(user, one.item) == doctest::Approx(one.score).epsilon(1e-5));
      }
    }
    if (history.empty()) {
      CHECK(alone.front().item == 6);  // the most popular
      CHECK(scores.view()(user, 3) == 0);
    }
  }
}

TEST_CASE("LC-Rec's probabilities sum to at most one") {
  const SpelledWorld world;
  const auto model = spelling_model(world);
  OwnedMatrix<float> scores(1, 60);
  Ragged<ItemId> one;
  one.push_back(std::vector<ItemId>{4, 5, 6});
  model.score(one, scores.view());
  double mass = 0;
  for (const float score : scores.values) { mass += std::exp(static_cast<double>(score)); }
  CHECK(mass < 1);
  CHECK(mass > .01);
}

TEST_CASE("LC-Rec recommends without allocating once it is warm") {
  const SpelledWorld world;
  const auto model = spelling_model(world);
  std::vector<Recommended> list(10);
  const auto history = world.histories[9];
  for (int call = 0; call < 3; ++call) { model.recommend(history, {}, list); }
  const auto before = simgr_test::allocations();
  CHECK(model.recommend(history, {}, list) == 10);
  CHECK(simgr_test::allocations() == before);
}

TEST_CASE("LC-Rec learns, is saved, and spells new items" * doctest::test_suite("heavy")) {
  LcRec::Config config = baselines::lc_rec_defaults.model;
  config.encoder.width = 32;
  config.encoder.layers = 2;
  config.encoder.heads = 2;
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  LcRec model(SpelledWorld().catalogue, config, 3);
  simgr_test::check_learns(
      model, {.epochs = 60, .batch = 8, .evaluate_every = 20, .optimizer = {.rate = 5e-3}}, 0.5);
  simgr_test::check_saved_and_extended(model);
}

TEST_CASE("Without a trie, lists are shorter") {
  const SpelledWorld world;
  const auto model = spelling_model<with_ranker<LcRec, ranker::FreeBeam>>(world);
  Index listed = 0;
  for (Index user = 10; user < 20; ++user) {
    listed += static_cast<Index>(model.recommend(world.histories[user], 20).size());
  }
  CHECK(listed > 0);
  CHECK(listed < 200);
}

TEST_CASE("LC-Rec's file serves under another ranker, whose numbers are its own") {
  const SpelledWorld world;
  LcRec::Config config;
  config.encoder.width = 16;
  config.ranker = {.width = 1 << 20,
                   .support = ranker::Support::children};  // no FreeBeam has these
  const LcRec model(world.catalogue, config, 3);
  const simgr_test::TemporaryFolder folder;
  model.save(folder.file("m"));
  CHECK(LcRec::load(folder.file("m")).config().ranker.width == 1 << 20);
  const auto free = with_ranker<LcRec, ranker::FreeBeam>::load(folder.file("m"));
  CHECK(free.config().ranker.width == ranker::FreeBeam::Config{}.width);
  CHECK(std::equal(free.weights().begin(), free.weights().end(), model.weights().begin()));
}
