// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/rankings.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

namespace {

using namespace simgr;

/// Four users named 7, 3, 12 and 40, of whom the third is too short to be evaluated; nine items.
struct RankedUsers {
  data::Interactions interactions;
  data::Split split;

  RankedUsers() {
    for (const auto& history : {std::vector<ItemId>{0, 1, 2}, {3, 4, 5, 6}, {7, 8}, {1, 2, 3}}) {
      interactions.histories.push_back(history);
    }
    interactions.user_keys = {"7", "3", "12", "40"};
    interactions.items = 9;
    split = data::leave_one_out(interactions);
  }
};

std::string rankings_error(const std::string& text) {
  const RankedUsers world;
  const simgr_test::TemporaryFolder folder;
  simgr_test::write_bytes(folder.file("lists.tsv"), text);
  const auto read =
      data::try_read_rankings(folder.file("lists.tsv"), world.interactions, world.split.test);
  if (read) {
    return "";
  }
  const std::string what = read.error().what();
  CHECK(what.starts_with(folder.file("lists.tsv")));
  return what.substr(folder.file("").size());
}

}  // namespace

TEST_CASE("Rankings are read in the order of the cases, whatever that of the file") {
  const RankedUsers world;
  const simgr_test::TemporaryFolder folder;
  const std::string lines = "40\t8 0\n3\t\n12\t1\n7\t5 4 3\r\n";
  for (const std::string& text : {lines, "user\titems\n" + lines}) {
    for (const bool packed : {false, true}) {
      const std::string path = folder.file("lists");
      simgr_test::write_bytes(path, packed ? simgr_test::gzip(text) : text);
      const auto lists = data::read_rankings(path, world.interactions, world.split.test);
      CHECK(lists.values == std::vector<ItemId>{5, 4, 3, 8, 0});
      CHECK(lists.offsets == std::vector<Index>{0, 3, 3, 5});
    }
  }
  // Users without names of their own are numbers.
  data::Interactions unnamed = world.interactions;
  unnamed.user_keys.clear();
  simgr_test::write_bytes(folder.file("numbers"), "3\t1\n1\t2\n0\t3");
  CHECK(data::read_rankings(folder.file("numbers"), unnamed, world.split.test).values ==
        std::vector<ItemId>{3, 2, 1});
}

TEST_CASE("Rankings that are wrong are told by file, line and column") {
  CHECK(rankings_error("7\t1\n3\t1\n40\t1\n") == "");
  const std::pair<const char*, const char*> wrong[] = {
      {"7\t1\n5\t1\n", "lists.tsv:2: user: no user of the data is named \"5\""},
      {"7\t1\n07\t1\n", "lists.tsv:2: user: no user of the data is named \"07\""},
      {"7\t1\n\t1\n", "lists.tsv:2: user: no user of the data is named \"\""},
      {"7\t1\n3\t2\n7\t3\n", "lists.tsv:3: user: user 7 has a list in line 1 already"},
      {"7\t1\n3\t9\n", "lists.tsv:2: items: item 9 is out of range: there are 9 items"},
      {"7\t-1\n", "lists.tsv:1: items: item -1 is out of range: there are 9 items"},
      {"7\t99999999999\n", "lists.tsv:1: items: item 99999999999 is out of range"},
      {"7\t99999999999999999999\n", "lists.tsv:1: items: expected numbers"},
      {"7\t1 2 1\n", "lists.tsv:1: items: item 1 stands twice in one list"},
      {"7\t1 x\n", "lists.tsv:1: items: expected numbers with one blank between them, found \"x\""},
      {"7\t1  2\n", "lists.tsv:1: items: expected numbers with one blank between them"},
      {"7\t1 \n", "lists.tsv:1: items: expected numbers with one blank between them"},
      {"7\t1\t0.5\n", "lists.tsv:1: items: expected numbers with one blank between them"},
      {"7 1 2\n", "lists.tsv:1: expected user<TAB>items, found \"7 1 2\""},
      {"7\t1\n\n", "lists.tsv:2: expected user<TAB>items, found \"\""},
      {"7\t1\nuser\titems\n", "lists.tsv:2: user: no user of the data is named \"user\""},
      {"7\t1\n12\t1\n",
       "lists.tsv: expected a list for each of the 3 users that are evaluated, found none for 2 of "
       "them, first user 3; a user and a tab alone are an empty list"},
      {"", "lists.tsv: expected a list for each of the 3 users"},
  };
  for (const auto& [text, message] : wrong) {
    CAPTURE(text);
    const std::string found = rankings_error(text);
    CAPTURE(found);
    CHECK(found.starts_with(message));
  }
  const RankedUsers world;
  CHECK_THROWS_AS(data::read_rankings("no/such/file", world.interactions, world.split.test),
                  IoError);
}
