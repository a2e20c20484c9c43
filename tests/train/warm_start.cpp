// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/warm_start.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/sasrec.hpp>
#include <simgr/baselines/simgr.hpp>
#include <simgr/train/neighbour_tasks.hpp>
#include <simgr/train/trainer.hpp>

#include <support/temporary_folder.hpp>
#include <support/weights_of.hpp>

namespace {

using namespace simgr;
using baselines::SasRec;
using baselines::SimGrMean;
using simgr_test::weights_of;

Catalogue spelt_items(Index items) {
  Catalogue catalogue{.items = items};
  catalogue.ids.codes_per_digit = {5, 7};
  catalogue.ids.codes = OwnedMatrix<std::int32_t>(items, 2);
  for (std::int32_t item = 0; item < items; ++item) {
    catalogue.ids.codes.view()(item, 0) = item % 5;
    catalogue.ids.codes.view()(item, 1) = item % 7;
    catalogue.keys.push_back("K" + std::to_string(item));
  }
  return catalogue;
}
template <class Model>
Model begun(Catalogue catalogue, double dropout = 0.1, Index width = 8) {
  typename Model::Config config;
  config.encoder.width = width;
  config.encoder.layers = 1;
  config.encoder.heads = 2;
  config.encoder.max_length = 6;
  config.encoder.dropout = dropout;
  return Model(std::move(catalogue), config, static_cast<std::uint64_t>(width));
}
template <class Model>
std::vector<ItemId> list_of(const Model& model) {
  std::vector<ItemId> list;
  for (const Recommended& one : model.recommend(std::vector<ItemId>{3, 8, 2}, 10)) {
    list.push_back(one.item);
  }
  return list;
}

}  // namespace

TEST_CASE("a warm start takes the weights of a file and says what it reads otherwise") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("sasrec.simgr");
  SasRec trained = begun<SasRec>({.items = 19});
  for (float& weight : trained.weights()) { weight *= 3; }
  trained.refresh();
  io::ModelFile<SasRec>::save(trained, path);

  SasRec alike = begun<SasRec>({.items = 19});
  CHECK(weights_of(alike) != weights_of(trained));
  CHECK(train::warm_start(alike, path).empty());
  CHECK(weights_of(alike) == weights_of(trained));
  CHECK(list_of(alike) == list_of(trained));

  SasRec other = begun<SasRec>({.items = 19}, 0.25);
  CHECK(train::warm_start(other, path) == "encoder.dropout was 0.1, is 0.25");
}

TEST_CASE("a model with tasks begins with the weights of the one that serves") {
  using Related = with_tasks<SasRec, NextItem, CollaborativeNeighbours, SemanticNeighbours>;
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("sasrec.simgr");
  SasRec trained = begun<SasRec>({.items = 19});
  for (float& weight : trained.weights()) { weight *= 3; }
  io::ModelFile<SasRec>::save(trained, path);

  Related related = begun<Related>({.items = 19});
  const std::vector<float> before = weights_of(related);
  const auto served = static_cast<std::ptrdiff_t>(trained.weights().size());
  REQUIRE(before.size() > trained.weights().size());
  CHECK(train::warm_start(related, path).empty());
  const std::vector<float> after = weights_of(related);
  CHECK(std::vector<float>(after.begin(), after.begin() + served) == weights_of(trained));
  CHECK(std::vector<float>(after.begin() + served, after.end()) ==
        std::vector<float>(before.begin() + served, before.end()));
}

TEST_CASE("items may follow those of the file where no item has a row of its own") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("mean.simgr");
  const SimGrMean trained = begun<SimGrMean>(spelt_items(19));
  io::ModelFile<SimGrMean>::save(trained, path);

  SimGrMean more = begun<SimGrMean>(spelt_items(25));
  for (float& weight : more.weights()) { weight *= 3; }
  CHECK(train::warm_start(more, path).empty());
  CHECK(weights_of(more) == weights_of(trained));
  CHECK(more.items() == 25);

  const auto refuses = [&](Catalogue catalogue, const char* part) {
    SimGrMean model = begun<SimGrMean>(std::move(catalogue));
    for (float& weight : model.weights()) { weight *= 3; }
    const std::vector<float> before = weights_of(model);
    const auto started = train::try_warm_start(model, path);
    REQUIRE_FALSE(started);
    const std::string sentence = started.error().what();
    INFO(sentence);
    CHECK(sentence.find(part) != std::string::npos);
    CHECK(sentence.find(path) != std::string::npos);
    CHECK(weights_of(model) == before);
  };
  Catalogue renamed = spelt_items(19), spelt_anew = spelt_items(25),
            of_more_codes = spelt_items(19);
  renamed.keys[4] = "another";
  spelt_anew.ids.codes.view()(18, 1) = 5;
  of_more_codes.ids.codes_per_digit = {5, 8};
  refuses(std::move(renamed), "item 4 has another key there");
  refuses(std::move(spelt_anew), "item 18 has another semantic id there");
  refuses(std::move(of_more_codes), "other codes");
}

TEST_CASE("a warm start refuses files of other models, shapes and items") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("sasrec.simgr");
  io::ModelFile<SasRec>::save(begun<SasRec>({.items = 19}), path);

  SasRec more = begun<SasRec>({.items = 20}), wider = begun<SasRec>({.items = 19}, 0.1, 16);
  const std::vector<float> before = weights_of(wider);
  CHECK_THROWS_WITH_AS(train::warm_start(more, path), doctest::Contains("expected [20, 8]"),
                       DataError);
  CHECK_THROWS_WITH_AS(train::warm_start(wider, path), doctest::Contains("expected [19, 16]"),
                       DataError);
  CHECK(weights_of(wider) == before);
  SimGrMean another = begun<SimGrMean>(spelt_items(19));
  CHECK_THROWS_WITH_AS(train::warm_start(another, path), doctest::Contains("the file holds"),
                       DataError);
  CHECK_THROWS_AS(train::warm_start(wider, folder.file("none.simgr")), IoError);
}
