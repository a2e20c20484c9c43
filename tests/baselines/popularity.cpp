// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/popularity.hpp>

#include <doctest/doctest.h>

#include <simgr/data/sequences.hpp>

#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>

namespace {

using simgr::ItemId;
using simgr::baselines::Popularity;

simgr::data::Split three_users() {
  simgr::data::Interactions interactions{.items = 5};
  for (const std::vector<ItemId>& history :
       {std::vector<ItemId>{3, 1, 0, 2}, {3, 3, 1, 4}, {1, 0}}) {
    interactions.histories.push_back(history);
  }
  return simgr::data::leave_one_out(interactions);
}

std::vector<ItemId> items_of(const std::vector<simgr::Recommended>& list) {
  std::vector<ItemId> items;
  for (const simgr::Recommended& place : list) { items.push_back(place.item); }
  return items;
}

TEST_CASE("popularity ranks by training counts, ties by id, and removes seen items unless told") {
  Popularity model({.items = 5});
  model.fit(three_users());  // training counts: 3 three times, 1 twice, 0 once
  CHECK(items_of(model.recommend({}, 10)) == std::vector<ItemId>{3, 1, 0, 2, 4});
  const std::vector<ItemId> history = {3, 3, 0};
  CHECK(items_of(model.recommend(history, 2)) == std::vector<ItemId>{1, 2});
  CHECK(items_of(model.recommend(history, 2, {.seen = simgr::ranker::Seen::keep})) ==
        std::vector<ItemId>{3, 1});
  const std::vector<ItemId> deny = {1}, allow = {4, 1};
  CHECK(items_of(model.recommend(history, 3, {.deny = deny, .allow = allow})) ==
        std::vector<ItemId>{4});
}

TEST_CASE("popularity reports its one epoch with the validation figure that evaluate gives") {
  const auto split = three_users();
  Popularity model({.items = 5});
  double reported = -1;
  const auto result = model.fit(split, {}, [&](const simgr::train::EpochReport& epoch) {
    reported = epoch.validation_ndcg10.value();
  });
  // Targets 0 and 1 stand at places 3 and 2.
  CHECK(reported == doctest::Approx((1 / std::log2(4) + 1 / std::log2(3)) / 2));
  CHECK(result.best_validation_ndcg10 == reported);
  CHECK(result.best_epoch == 1);
  CHECK(result.seen == simgr::ranker::Seen::keep);
  // Without the items of their histories both stand first.
  const auto removed = model.fit(split, {.seen = simgr::ranker::Seen::remove});
  CHECK(removed.best_validation_ndcg10 == 1);
  CHECK(removed.seen == simgr::ranker::Seen::remove);
  auto unevaluated = split;
  unevaluated.validation = {};
  const auto plain = model.fit(unevaluated);
  CHECK(plain.best_epoch == 0);
  CHECK_FALSE(plain.best_validation_ndcg10);
}

TEST_CASE("a popularity model is saved and loaded whole; other files are refused") {
  const simgr_test::TemporaryFolder folder;
  Popularity model({.keys = {"a", "b", "c", "d", "e"}});
  model.fit(three_users());
  model.save(folder.file("m"));
  const Popularity loaded = Popularity::load(folder.file("m"));
  CHECK(loaded.catalogue().keys == model.catalogue().keys);
  CHECK(loaded.catalogue().popularity == model.catalogue().popularity);
  // A catalogue that claims more than the file holds.
  const auto saved = simgr::io::Checkpoint::read(folder.file("m"));
  simgr::io::CheckpointWriter writer;
  for (const auto& [key, text] : saved.texts()) {
    if (key != "simgr.format" && key.find("crc32c") == std::string::npos) {
      writer.set(key, text);
    }
  }
  simgr::io::add_catalogue(writer, {.items = 2147483647});
  writer.write(folder.file("m"));
  const auto claims = Popularity::try_load(folder.file("m"));
  REQUIRE_FALSE(claims.ok());
  CHECK(std::string(claims.error().what()) ==
        folder.file("m") + ": catalogue/popularity: the file has no counts");
  simgr_test::write_bytes(folder.file("m"), "no checkpoint");
  CHECK_FALSE(Popularity::try_load(folder.file("m")).ok());
}

TEST_CASE("unknown items, other splits and empty catalogues are errors") {
  const Popularity model({.items = 5});
  const std::vector<ItemId> above = {5}, below = {-1};
  CHECK_THROWS_WITH_AS(model.recommend(above, 1), "history: item 5 is not one of 0 to 4",
                       simgr::DataError);
  CHECK_THROWS_AS(model.recommend(below, 1), simgr::DataError);
  CHECK_THROWS_AS(Popularity({}), simgr::ConfigError);
  Popularity other({.items = 6});
  CHECK_THROWS_AS(other.fit(three_users()), simgr::DataError);
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("popularity on Beauty: the figures known for half-tie ranks") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const auto split = simgr::data::leave_one_out(simgr::data::read_sequences(
        (*shared / "data/amazon-beauty-2014/sequences.tsv.gz").string()));
    Popularity model({.items = split.items});
    model.fit(split);
    const auto half = simgr::eval::evaluate_model(model, split.test, {.half_ties = true});
    CHECK(half.at(10).all.hr == doctest::Approx(0.0106).epsilon(0.01));
    CHECK(half.at(5).all.hr == doctest::Approx(0.0064).epsilon(0.01));
    // Places 10 and 11 are tied at 237 interactions: by id the list ends with item 277.
    const auto served = simgr::eval::evaluate_model(model, split.test);
    CHECK(served.at(10).all.hr == doctest::Approx(0.0114475).epsilon(1e-4));
  }
}
