// SPDX-License-Identifier: Apache-2.0
#include <simgr/recommender.hpp>

#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/simgr.hpp>

#include <support/allocations.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;
using MeanModel = simgr::baselines::SimGrMean;

MeanModel small_model(Index items = 40) {
  simgr::Catalogue catalogue{.items = items};
  catalogue.ids.codes = simgr::OwnedMatrix<std::int32_t>(items, 2);
  catalogue.ids.codes_per_digit = {6, 9};
  for (Index i = 0; i < items; ++i) {
    catalogue.ids.codes.view()(i, 0) = static_cast<std::int32_t>(i % 6);
    catalogue.ids.codes.view()(i, 1) = static_cast<std::int32_t>(i / 6);
    catalogue.popularity.push_back((i * 7) % 40);
  }
  return MeanModel(std::move(catalogue),
                   {.encoder = {.width = 8, .layers = 2, .heads = 2, .max_length = 5}});
}

std::vector<ItemId> items_of(const std::vector<simgr::Recommended>& list) {
  std::vector<ItemId> items;
  for (const simgr::Recommended& place : list) { items.push_back(place.item); }
  return items;
}

TEST_CASE("an id outside the catalogue is an error that names it") {
  const MeanModel model = small_model();
  const std::vector<ItemId> above = {1, 40}, below = {-1};
  CHECK_THROWS_WITH_AS(model.recommend(above, 3), "history: item 40 is not one of 0 to 39",
                       simgr::DataError);
  CHECK_THROWS_AS(model.recommend(below, 3), simgr::DataError);
}

TEST_CASE("a list is as long as what there is: repeated items, k beyond the catalogue, k of 0") {
  const MeanModel model = small_model();
  const std::vector<ItemId> history = {3, 3, 7, 3};
  const auto all = model.recommend(history, std::numeric_limits<Index>::max());
  CHECK(all.size() == 38);
  for (const simgr::Recommended& place : all) { CHECK((place.item != 3 && place.item != 7)); }
  CHECK(model.recommend(history, 99, {.seen = simgr::ranker::Seen::keep}).size() == 40);
  CHECK(model.recommend(history, 0).empty());
  CHECK(model.recommend(history, -4).empty());
}

TEST_CASE("an empty history gets the most popular items, and the lists of the options hold") {
  const MeanModel model = small_model();
  // popularity of i is 7 i mod 40: 39 for item 17, 38 for item 34, 37 for item 11
  CHECK(items_of(model.recommend({}, 3)) == std::vector<ItemId>{17, 34, 11});
  const std::vector<ItemId> deny = {34, 34}, allow = {34, 11, 0};
  CHECK(items_of(model.recommend({}, 3, {.deny = deny})) == std::vector<ItemId>{17, 11, 28});
  CHECK(items_of(model.recommend({}, 3, {.allow = allow})) == std::vector<ItemId>{34, 11, 0});
}

TEST_CASE("a history longer than the model reads counts from its end, in any batch") {
  const MeanModel model = small_model();
  const std::vector<ItemId> longer = {9, 8, 7, 1, 2, 3, 4, 5}, last = {1, 2, 3, 4, 5};
  const auto keep = simgr::RecommendOptions{.seen = simgr::ranker::Seen::keep};
  CHECK(items_of(model.recommend(longer, 10, keep)) == items_of(model.recommend(last, 10, keep)));
  simgr::Ragged<ItemId> batch;
  batch.push_back(longer);
  batch.push_back({});
  batch.push_back(last);
  std::vector<simgr::Recommended> lists(30);
  std::vector<Index> found(3);
  model.recommend(batch, 10, keep, lists, {found.data(), {3}});
  const auto alone = model.recommend(last, 10, keep);
  for (std::size_t place = 0; place < 10; ++place) {
    CHECK(lists[20 + place].item == alone[place].item);
    // Products round by how many rows they have: the order is the same, the last bit need not be.
    CHECK(lists[20 + place].score == doctest::Approx(alone[place].score).epsilon(1e-6));
  }
}

TEST_CASE("added items change no other score, to the bit, and are listed") {
  MeanModel model = small_model();
  const std::vector<ItemId> history = {1, 2, 3};
  simgr::Ragged<ItemId> one;
  one.push_back(history);
  simgr::OwnedMatrix<float> before(1, 40), after(1, 42);
  model.score(one, before.view());
  simgr::OwnedMatrix<std::int32_t> codes(2, 2);
  codes.values = {5, 8, 0, 8};
  model.add_items(codes);
  model.score(one, after.view());
  CHECK(std::equal(before.values.begin(), before.values.end(), after.values.begin()));
  const auto all = items_of(model.recommend(history, 99));
  CHECK(std::count(all.begin(), all.end(), 41) == 1);
  codes.values = {6, 0, 0, 0};  // digit 0 counts from 0 to 5
  CHECK_THROWS_AS(model.add_items(codes), simgr::DataError);
}

TEST_CASE("a catalogue whose numbers of codes do not fit its ids is refused") {
  simgr::Catalogue catalogue;
  catalogue.ids.codes = simgr::OwnedMatrix<std::int32_t>(3, 2);
  catalogue.ids.codes_per_digit = {4};
  CHECK_THROWS_WITH_AS(MeanModel{catalogue},
                       "catalogue.ids: codes_per_digit: expected [2], found [1]",
                       simgr::ShapeError);
  catalogue.ids.codes_per_digit = {4, simgr::Index{INT32_MAX} - 3};
  CHECK_THROWS_WITH_AS(
      MeanModel{catalogue},
      "catalogue.ids: digit 1: expected at most 2147483643 codes, found 2147483644",
      simgr::DataError);
}

TEST_CASE("the second recommendation allocates nothing") {
  const MeanModel model = small_model();
  const std::vector<ItemId> history = {1, 2, 3, 4}, shorter = {5};
  std::vector<simgr::Recommended> list(10);
  const auto warm = [&] {
    model.recommend(history, {}, list);
    model.recommend({}, {}, list);
  };
  warm();
  warm();
  const auto before = simgr_test::allocations();
  warm();
  model.recommend(shorter, {.seen = simgr::ranker::Seen::zero}, list);
  CHECK(simgr_test::allocations() == before);
}

}  // namespace
