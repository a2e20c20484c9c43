// SPDX-License-Identifier: Apache-2.0
#include <simgr/recommender.hpp>

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/simgr.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>

#include <support/allocations.hpp>
#include <support/temporary_folder.hpp>

// Scores that are no products of queries and keys, served.

namespace {

using simgr::Index;
using simgr::ItemId;
using simgr::Matrix;
using CrossModel = simgr::baselines::SimGrCrossAttention;
using Parts = CrossModel::Parts;

CrossModel cross_attention_model(Index items = 40) {
  simgr::Catalogue catalogue{.items = items};
  catalogue.ids.codes = simgr::OwnedMatrix<std::int32_t>(items, 2);
  catalogue.ids.codes_per_digit = {6, 9};
  for (Index i = 0; i < items; ++i) {
    catalogue.ids.codes.view()(i, 0) = static_cast<std::int32_t>(i % 6);
    catalogue.ids.codes.view()(i, 1) = static_cast<std::int32_t>(i / 6);
    catalogue.popularity.push_back((i * 7) % 40);
  }
  CrossModel::Config config;
  config.encoder.width = 8;
  config.encoder.layers = 1;
  config.encoder.max_length = 5;
  config.encoder.embedding.deviation = 1;  // so that weights of digits are far from even
  return CrossModel(std::move(catalogue), config, 3);
}

const std::vector<ItemId> first{9, 8, 7, 1, 2, 3, 4, 5}, second{3}, third{11, 0, 11};
simgr::Ragged<ItemId> some_histories() {
  simgr::Ragged<ItemId> histories;
  for (const auto& history : {first, second, third}) { histories.push_back(history); }
  return histories;
}
std::vector<float> scores_of(const CrossModel& model, simgr::RaggedView<ItemId> histories) {
  std::vector<float> scores(static_cast<std::size_t>(histories.sequences() * model.items()));
  model.score(histories, Matrix<float>(scores.data(), {histories.sequences(), model.items()}));
  return scores;
}

TEST_CASE("served scores of items that each user pools anew are the composition's tiles") {
  const CrossModel model = cross_attention_model();
  const simgr::Ragged<ItemId> histories = some_histories();
  simgr::OwnedMatrix<float> queries(3, 8);
  model.encode(histories, queries.view());
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  Parts::Shared<float> shared;
  Parts::prepare(model.config(), model.params(), model.items_view(), {}, shared, ctx);
  const Matrix<float> tile = ctx.take<float>(3, 40);
  Parts::scorer(model.config(), model.params(), model.params(), shared, model.items_view(),
                std::as_const(queries).view(), Matrix<float>{}, Matrix<float>{}, ctx)
      .tile(ctx, 0, 3, tile);
  const std::vector<float> served = scores_of(model, histories);
  CHECK(std::equal(tile.begin(), tile.end(), served.begin()));
  CHECK(*std::max_element(served.begin(), served.end()) >
        *std::min_element(served.begin(), served.end()) + 1);
}

TEST_CASE("their lists are all items by score, and the same in any batch") {
  const CrossModel model = cross_attention_model();
  const simgr::Ragged<ItemId> histories = some_histories();
  const std::vector<ItemId> deny{4};
  const simgr::RecommendOptions options{.deny = deny};
  std::vector<simgr::Recommended> lists(3 * 40);
  std::vector<Index> found(3);
  model.recommend(histories, 40, options, lists, {found.data(), {3}});
  for (Index u = 0; u < 3; ++u) {
    const auto history = simgr::RaggedView<ItemId>(histories)[u];
    simgr::Ragged<ItemId> one;
    one.push_back(history);
    const std::vector<float> scores = scores_of(model, one);
    std::vector<ItemId> expected;
    for (ItemId i = 0; i < 40; ++i) {
      if (i != 4 && std::find(history.begin(), history.end(), i) == history.end()) {
        expected.push_back(i);
      }
    }
    std::stable_sort(expected.begin(), expected.end(), [&](ItemId a, ItemId b) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    REQUIRE(found[static_cast<std::size_t>(u)] == static_cast<Index>(expected.size()));
    const auto alone = model.recommend(history, 40, options);
    for (std::size_t k = 0; k < expected.size(); ++k) {
      CHECK(alone[k].item == expected[k]);
      CHECK(alone[k].score == scores[static_cast<std::size_t>(expected[k])]);
      CHECK(lists[static_cast<std::size_t>(u) * 40 + k].item == expected[k]);
    }
  }
  CHECK(model.recommend({}, 2).front().item == 17);  // the most popular: 7 · 17 mod 40 = 39
}

TEST_CASE("their evaluation ranks as their lists do, and a saved model gives the same bits") {
  const simgr_test::TemporaryFolder folder;
  const CrossModel model = cross_attention_model();
  simgr::data::Evaluation evaluation;
  evaluation.users = {0, 1, 2};
  evaluation.histories = some_histories();
  evaluation.targets = {20, 31, 6};
  const auto metrics = simgr::eval::evaluate_model(model, evaluation, {.shards = 2});
  for (std::size_t u = 0; u < 3; ++u) {
    const auto list =
        model.recommend(simgr::RaggedView<ItemId>(evaluation.histories)[static_cast<Index>(u)], 40,
                        {.seen = simgr::ranker::Seen::keep});
    const auto place = std::find_if(list.begin(), list.end(), [&](const auto& entry) {
      return entry.item == evaluation.targets[u];
    });
    CHECK(metrics.ranks[u] == static_cast<double>(place - list.begin() + 1));
  }
  model.save(folder.file("m"));
  const CrossModel loaded = CrossModel::load(folder.file("m"));
  CHECK(scores_of(loaded, evaluation.histories) == scores_of(model, evaluation.histories));
}

TEST_CASE("added items change no other score of theirs, to the bit, and are listed") {
  CrossModel model = cross_attention_model();
  const simgr::Ragged<ItemId> histories = some_histories();
  const std::vector<float> before = scores_of(model, histories);
  simgr::OwnedMatrix<std::int32_t> codes(2, 2);
  codes.values = {5, 8, 0, 8};
  model.add_items(codes);
  const std::vector<float> after = scores_of(model, histories);
  for (std::size_t u = 0; u < 3; ++u) {
    CHECK(std::equal(before.begin() + 40 * static_cast<std::ptrdiff_t>(u),
                     before.begin() + 40 * static_cast<std::ptrdiff_t>(u + 1),
                     after.begin() + 42 * static_cast<std::ptrdiff_t>(u)));
  }
  const auto list = model.recommend(second, 99);
  CHECK(std::any_of(list.begin(), list.end(), [](const auto& entry) { return entry.item == 41; }));
  model.refresh();  // from the whole catalogue at once, as after loading
  CHECK(scores_of(model, histories) == after);
}

TEST_CASE("their second recommendation allocates nothing") {
  const CrossModel model = cross_attention_model();
  std::vector<simgr::Recommended> list(10);
  const auto warm = [&] {
    model.recommend(first, {}, list);
    model.recommend({}, {}, list);
  };
  warm();
  warm();
  const auto before = simgr_test::allocations();
  warm();
  model.recommend(second, {.seen = simgr::ranker::Seen::zero}, list);
  CHECK(simgr_test::allocations() == before);
}

}  // namespace
