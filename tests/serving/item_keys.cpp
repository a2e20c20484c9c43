// SPDX-License-Identifier: Apache-2.0
#include <simgr/item_keys.hpp>

#include <doctest/doctest.h>

#include <simgr/baselines/popularity.hpp>
#include <simgr/baselines/simgr.hpp>

#include <support/allocations.hpp>

namespace {

using simgr::ItemId;
using simgr::ItemKeys;

std::vector<std::string> many_keys(int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) { keys.push_back("B" + std::to_string(1000 + 7 * i)); }
  return keys;
}

TEST_CASE("keys lead to ids and back, and what is no key leads nowhere") {
  const auto keys = many_keys(1000);
  const ItemKeys known(keys);
  for (ItemId item = 0; item < 1000; ++item) {
    CHECK(known.find(known.name(item)) == item);
    CHECK(known.name(item) == keys[static_cast<std::size_t>(item)]);
  }
  for (const char* other :
       {"", "B", "B1001", "b1000", "B10000", "a key of more than eight bytes"}) {
    CHECK_FALSE(known.find(other).has_value());
  }
}

TEST_CASE("of equal keys the first item is found; empty and binary keys are keys") {
  const std::vector<std::string> keys = {"same", "", std::string("a\0b", 3), "same",
                                         std::string("a\0c", 3)};
  const ItemKeys known(keys);
  CHECK(known.find("same") == 0);
  CHECK(known.find("") == 1);
  CHECK(known.find(std::string_view("a\0c", 3)) == 4);
}

TEST_CASE("without keys nothing is found and ids are names") {
  const ItemKeys none;
  CHECK(none.empty());
  CHECK_FALSE(none.find("0").has_value());
  CHECK_FALSE(ItemKeys(std::vector<std::string>{}).find("0").has_value());
  CHECK(none.name(17) == "17");
}

TEST_CASE("a list of keys becomes ids, and the first unknown one is named") {
  const auto keys = many_keys(5);
  const ItemKeys known(keys);
  CHECK(known.ids({"B1007", "B1000", "B1007"}) == std::vector<ItemId>{1, 0, 1});
  CHECK(known.ids(std::vector<std::string>{"B1028"}) == std::vector<ItemId>{4});
  CHECK(known.try_ids(std::vector<std::string>{"B1000", "X", "Y"}).error().what() ==
        std::string("no item has the key \"X\""));
  CHECK_THROWS_AS(known.ids({"B1", "B1000"}), simgr::DataError);
}

TEST_CASE("a look-up allocates nothing") {
  const auto keys = many_keys(100);
  const ItemKeys known(keys);
  const auto before = simgr_test::allocations();
  const bool found = known.find("B1007").has_value() && !known.find("none").has_value();
  CHECK(simgr_test::allocations() == before);
  CHECK(found);
}

TEST_CASE("models answer by key, also when they were moved and given new items") {
  simgr::Catalogue catalogue{.keys = many_keys(12)};
  catalogue.ids.codes = simgr::OwnedMatrix<std::int32_t>(12, 2);
  catalogue.ids.codes_per_digit = {3, 4};
  for (simgr::Index i = 0; i < 12; ++i) {
    catalogue.ids.codes.view()(i, 0) = static_cast<std::int32_t>(i % 3);
    catalogue.ids.codes.view()(i, 1) = static_cast<std::int32_t>(i / 3);
  }
  const simgr::baselines::Popularity popular(catalogue);
  CHECK(popular.item_keys().find("B1007") == 1);
  simgr::baselines::SimGrMean first(std::move(catalogue),
                                    {.encoder = {.width = 8, .layers = 1, .heads = 1}});
  simgr::baselines::SimGrMean model = std::move(first);
  const auto list = model.recommend(model.item_keys().ids({"B1007", "B1014"}), 12);
  CHECK(list.size() == 10);
  simgr::OwnedMatrix<std::int32_t> codes(1, 2);
  codes.values = {2, 1};
  model.add_items(codes, {"brand-new"});
  CHECK(model.item_keys().find("brand-new") == 12);
  CHECK(model.item_keys().find("B1077") == 11);
}

}  // namespace
