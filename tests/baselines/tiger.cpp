// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/tiger.hpp>

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include <support/allocations.hpp>
#include <support/learnt_world.hpp>
#include <support/small_speller.hpp>
#include <support/temporary_folder.hpp>
#include <support/whole_model.hpp>

#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/ranker/exact_token_scores.hpp>
#include <simgr/train/trainer.hpp>

namespace {

using namespace simgr;
using baselines::Tiger;
using simgr_test::forty_items;
using simgr_test::small_speller;

}  // namespace

TEST_CASE("TIGER gives the gradient of every weight, dropout included") {
  using E = EncoderDecoder<SemanticEmbedding>;
  const E::Config encoder = simgr_test::tiny_speller<E>();
  for (const DigitSupport support : {DigitSupport::level, DigitSupport::whole}) {
    simgr_test::check_whole_model<E, EveryDigitOfLast, InnerProduct<DigitCodebooks>,
                                  DigitCrossEntropy>(
        {.encoder = encoder, .candidates = {.support = support}});
  }
  // T5 1.1: gated nets, states that are not scaled.
  using Gated11 = EncoderDecoder<SemanticEmbedding, FeedForward<GeluTanh, Gated>>;
  Gated11::Config gated = simgr_test::tiny_speller<Gated11>();
  gated.dropout = 0;
  gated.scaled_states = false;
  simgr_test::check_whole_model<Gated11, EveryDigitOfLast, InnerProduct<DigitCodebooks>,
                                DigitCrossEntropy>({.encoder = gated});
}

TEST_CASE("TIGER lists by beam what it scores exactly, for any batch, and allocates nothing") {
  using Exact = with_ranker<Tiger, ranker::ExactTokenScores>;
  const Catalogue catalogue = forty_items();
  auto config = small_speller(baselines::tiger_defaults.model);
  config.ranker.width = 40;
  const Tiger model(catalogue, config, 3);
  const Exact exact(catalogue, small_speller(Exact::Config{.candidates = config.candidates}), 3);
  Ragged<ItemId> histories;
  Rng rng(5);
  for (Index user = 0; user < 12; ++user) {
    std::vector<ItemId> history;
    for (Index t = 0; t < user * 5 % 23; ++t) {
      history.push_back(static_cast<ItemId>(rng.below(40)));
    }
    histories.push_back(history);
  }
  std::vector<Recommended> list(12 * 10);
  std::vector<Index> found(12);
  model.recommend(histories, 10, {}, list, {found.data(), {12}});
  for (Index user = 0; user < 12; ++user) {
    const auto history = histories[user];
    const auto alone = model.recommend(history, 10), by_score = exact.recommend(history, 10);
    REQUIRE(static_cast<Index>(alone.size()) == found[static_cast<std::size_t>(user)]);
    REQUIRE(alone.size() == by_score.size());
    std::set<ItemId> met(history.begin(), history.end());
    for (std::size_t place = 0; place < alone.size(); ++place) {
      const Recommended& one = list[static_cast<std::size_t>(user) * 10 + place];
      CHECK(met.insert(one.item).second);  // unique and unseen
      CHECK(alone[place].item == one.item);
      CHECK(by_score[place].item == one.item);
      CHECK(alone[place].score == doctest::Approx(one.score).epsilon(1e-5));
      CHECK((place == 0 || alone[place - 1].score >= alone[place].score));
    }
  }
  std::vector<Recommended> own(10);
  for (int call = 0; call < 3; ++call) { model.recommend(histories[9], {}, own); }
  const auto before = simgr_test::allocations();
  CHECK(model.recommend(histories[9], {}, own) == 10);
  CHECK(simgr_test::allocations() == before);
}

TEST_CASE("TIGER learns, is saved, and spells new items") {
  Tiger model(forty_items(), small_speller(baselines::tiger_defaults.model), 3);
  simgr_test::check_learns(
      model, {.epochs = 40, .batch = 16, .evaluate_every = 20, .optimizer = {.rate = 5e-3}}, 0.5);
  simgr_test::check_saved_and_extended(model);
}
