// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/lc_rec.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

using simgr::Index;
using simgr::ItemId;
using simgr_test::TemporaryFolder;

namespace {

std::string put_index(const TemporaryFolder& folder, const std::string& bytes) {
  simgr_test::write_bytes(folder.file("f.json"), bytes);
  return folder.file("f.json");
}

struct Case {
  std::string bytes, part;
};

template <class Read, std::size_t N>
void refuse(const Case (&cases)[N], Read&& read) {
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const auto result = read(put_index(folder, c.bytes));
    REQUIRE_FALSE(result.ok());
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
    CHECK(found.find("f.json") != std::string::npos);
  }
}

}  // namespace

TEST_CASE("interactions, items and index of LC-Rec are read, plain and gzip") {
  const TemporaryFolder folder;
  const std::string inter = R"({"0": [3, 1], "1": [2]})";
  for (const std::string& bytes : {inter, simgr_test::gzip(inter)}) {
    const auto read = simgr::data::read_lc_rec_inter(put_index(folder, bytes));
    CHECK(read.items == 4);
    CHECK(read.user_keys.empty());
    CHECK(read.histories.values == std::vector<ItemId>{3, 1, 2});
    CHECK(read.histories.offsets == std::vector<Index>{0, 2, 3});
  }
  CHECK(simgr::data::read_lc_rec_inter(put_index(folder, R"({"ann":[0],"7":[0]})")).user_keys ==
        std::vector<std::string>{"ann", "7"});
  const auto items = simgr::data::read_lc_rec_items(
      put_index(folder, R"({"1":{"title":"b","categories":""},"0":{"title":"a","brand":"x"}})"));
  REQUIRE(items.size() == 2);
  CHECK(items[0].brand == "x");
  CHECK(items[1].title == "b");
  CHECK(items[1].categories.empty());
  const auto ids = simgr::data::read_lc_rec_index(put_index(
      folder, R"({"1":["<a_0>","<b_255>"],"0":["<a_183>","<b_7>"],"2":["<a_1>","<b_0>"]})"));
  CHECK(ids.items() == 3);
  CHECK(ids.digits() == 2);
  CHECK(ids.codes.values == std::vector<std::int32_t>{183, 7, 0, 255, 1, 0});
  CHECK(ids.codes_per_digit == std::vector<Index>{184, 256});
}

TEST_CASE("broken LC-Rec files are refused with file and byte") {
  const Case inter[] = {
      {"", "not valid JSON"},
      {"{}", "expected an object with members, found one without"},
      {"[1]", "expected an object with members, found array"},
      {R"({"0":[]})", "at byte 6: \"0\": expected a list of item ids with one at least"},
      {R"({"0":5})", "expected a list of item ids"},
      {R"({"0":["1"]})", "expected item ids from 0"},
      {R"({"0":[-1]})", "expected item ids from 0"},
      {R"({"0":[1.0]})", "expected item ids from 0"},
      {R"({"0":[99999999999]})", "expected item ids from 0"},
      {R"({"0":[2000000000]})", "ids must be dense"},
      {R"({"0":[1],"0":[2]})", "stands twice"},
      {R"({"0":[1])", "not valid JSON"},
  };
  refuse(inter, [](const std::string& path) { return simgr::data::try_read_lc_rec_inter(path); });
  const Case items[] = {
      {R"({"1":{}})", "expected item ids 0 to 0"},
      {R"({"0":{},"00":{}})", "expected item ids 0 to 1"},
      {R"({"0":[]})", "expected a record"},
      {R"({"0":{"title":7}})", "title: expected a text, found integer"},
  };
  refuse(items, [](const std::string& path) { return simgr::data::try_read_lc_rec_items(path); });
  const Case index[] = {
      {R"({"x":["<a_1>"]})", "expected item ids 0 to 0"},
      {R"({"0":["<a_1>"],"2":["<a_2>"]})", "expected item ids 0 to 1, and item 1 is missing"},
      {R"({"0":["<a_1>"],"0":["<a_2>"]})", "stands twice"},
      {R"({"0":[]})", "expected a list of 1 to 26 tokens"},
      {R"({"0":"<a_1>"})", "expected a list of 1 to 26 tokens"},
      {R"({"0":["<b_1>"]})", "token 1 is not of the form <a_number>"},
      {R"({"0":["<a_1>","<a_1>"]})", "token 2 is not of the form <b_number>"},
      {R"({"0":["<a_>"]})", "token 1 is not"},
      {R"({"0":["<a_-1>"]})", "token 1 is not"},
      {R"({"0":["<a_1"]})", "token 1 is not"},
      {R"({"0":["<a_99999999999>"]})", "token 1 is not"},
      {R"({"0":["<a_2000000>"]})", "token 1 is not"},
      {R"({"0":["<a_1000000>","<b_1000000>"]})",
       "digit 1: 1000001 codes for 1 items are out of proportion"},
      {R"({"0":["a_1"]})", "token 1 is not"},
      {R"({"0":[""]})", "token 1 is not"},
      {R"({"0":["<a_>a"]})", "token 1 is not"},
      {R"({"0":[1]})", "token 1 is not"},
      {R"({"0":["<a_1>"],"1":["<a_1>","<b_1>"]})", "expected 1 tokens as item 0 has, found 2"},
  };
  refuse(index, [](const std::string& path) { return simgr::data::try_read_lc_rec_index(path); });
}

TEST_CASE("LC-Rec files cut at any byte are refused") {
  const TemporaryFolder folder;
  const std::string inter = R"({"0":[3,1],"1":[2]})", index = R"({"0":["<a_1>","<b_2>"]})";
  for (const std::string& text : {inter, simgr_test::gzip(inter)}) {
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      CHECK_FALSE(simgr::data::try_read_lc_rec_inter(put_index(folder, text.substr(0, cut))).ok());
    }
  }
  for (std::size_t cut = 0; cut < index.size(); ++cut) {
    CHECK_FALSE(simgr::data::try_read_lc_rec_index(put_index(folder, index.substr(0, cut))).ok());
  }
}
