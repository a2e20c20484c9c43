// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/key_index.hpp>

#include <map>
#include <string>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

TEST_CASE("ids are dense by first appearance, for numbers near and far and for texts") {
  simgr::Rng rng(1);
  simgr::data::KeyIndex index;
  std::map<std::string, int> expected;
  for (int i = 0; i < 200000; ++i) {
    const simgr::Index kind = rng.below(4);
    const std::string key = kind == 0   ? std::to_string(rng.below(3000))
                            : kind == 1 ? std::to_string(rng.below(100000000000))
                            : kind == 2 ? std::to_string(rng.below(100000))
                                        : "key-" + std::to_string(rng.below(20000));
    const auto [place, fresh] = expected.emplace(key, static_cast<int>(expected.size()));
    REQUIRE(index.text(key) == place->second);
    if (kind < 3) {
      REQUIRE(index.number(std::stoull(key)) == place->second);
    }
  }
  CHECK(index.size() == static_cast<simgr::Index>(expected.size()));
  const auto keys = index.keys();
  for (const auto& [key, id] : expected) { REQUIRE(keys[static_cast<std::size_t>(id)] == key); }
}

TEST_CASE("only numbers in plain form are numbers") {
  simgr::data::KeyIndex index;
  CHECK(index.text("7") == 0);
  CHECK(index.text("07") == 1);
  CHECK(index.text("+7") == 2);
  CHECK(index.text("7 ") == 3);
  CHECK(index.text("-7") == 4);
  CHECK(index.text("12345678901234567") == 5);  // 17 digits
  CHECK(index.text("0") == 6);
  CHECK(index.text("00") == 7);
  CHECK(index.text("") == 8);
  CHECK(index.number(7) == 0);
  CHECK(index.number(0) == 6);
  CHECK(index.key(5) == "12345678901234567");
}

TEST_CASE("keys that are their own ids need no names") {
  simgr::data::KeyIndex index;
  for (int i = 0; i < 5000; ++i) { index.text(std::to_string(i)); }
  CHECK(index.dense());
  CHECK(index.keys().empty());
  index.text("x");
  CHECK_FALSE(index.dense());
  CHECK(index.keys().size() == 5001);
}
