// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/amazon.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

using simgr::ItemId;
using simgr_test::TemporaryFolder;

namespace {

std::string put_json(const TemporaryFolder& folder, const std::string& bytes) {
  simgr_test::write_bytes(folder.file("a.json"), bytes);
  return folder.file("a.json");
}

const std::string reviews_2014 =
    R"({"reviewerID": "A2", "asin": "B1", "reviewerName": "x \"y\"", "helpful": [0, 0], "overall": 5.0, "unixReviewTime": 20, "reviewTime": "01 1, 2014"})"
    "\n"
    R"({"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 10})"
    "\n"
    R"({"reviewerID": "A2", "asin": "B2", "overall": 1.0, "unixReviewTime": 10})"
    "\n";

}  // namespace

TEST_CASE("reviews of 2014 and 2018, and of 2023, give histories in order of time") {
  const TemporaryFolder folder;
  const std::string reviews_2023 =
      R"({"rating": 5.0, "title": "t", "images": [{"a": "b"}], "asin": "V1", "parent_asin": "B1", "user_id": "A2", "timestamp": 20999, "verified_purchase": true})"
      "\n"
      R"({"asin": "B1", "parent_asin": "B1", "user_id": "A1", "timestamp": 10000})"
      "\n"
      R"({"asin": "B2", "parent_asin": "B2", "user_id": "A2", "timestamp": 10001})"
      "\n";
  for (const std::string& bytes : {reviews_2014, reviews_2023, simgr_test::gzip(reviews_2014)}) {
    const auto read = simgr::data::read_amazon_reviews(put_json(folder, bytes));
    CHECK(read.user_keys == std::vector<std::string>{"A2", "A1"});
    CHECK(read.item_keys == std::vector<std::string>{"B1", "B2"});
    CHECK(read.histories.values == std::vector<ItemId>{1, 0, 0});
    CHECK(read.times == std::vector<std::int64_t>{10, 20, 10});
  }
}

TEST_CASE("metadata of 2014 are Python, of 2018 and 2023 JSON") {
  const TemporaryFolder folder;
  const auto python = simgr::data::read_amazon_metadata(put_json(
      folder,
      R"({'asin': 'B1', 'title': "Girl's Tutu", 'price': 3.17, 'related': {'also_bought': ['x']}, 'salesRank': {'Toys': 211836}, 'brand': 'Coxlures', 'categories': [['Sports', 'Dance']], 'description': 'It\'s \u20ac'})"
      "\n"
      R"({'asin': 'B2', 'categories': [['Sports']]})"
      "\n"));
  REQUIRE(python.size() == 2);
  CHECK(python[0].title == "Girl's Tutu");
  CHECK(python[0].description == "It's \xe2\x82\xac");
  CHECK(python[0].categories.back() == std::vector<std::string>{"Sports", "Dance"});
  const auto json = simgr::data::read_amazon_metadata(put_json(
      folder,
      R"({"category": ["A", "B"], "description": ["x", "y"], "title": "T", "brand": "Q", "asin": "B7"})"
      "\n"
      R"({"main_category": "M", "title": "U", "store": "S", "categories": [], "description": [], "parent_asin": "B8", "price": null})"
      "\n"));
  REQUIRE(json.size() == 2);
  CHECK(simgr::data::item_text(json[0]) == "T. Q. A, B. x y");
  CHECK(json[1].brand == "S");
  CHECK(json[1].key == "B8");
  const auto ordered = simgr::data::items_of_keys(json, {"B8", "none", "B7"});
  REQUIRE(ordered.size() == 3);
  CHECK(ordered[0].title == "U");
  CHECK(ordered[1].title.empty());
  CHECK(ordered[1].key == "none");
  CHECK(ordered[2].title == "T");
}

TEST_CASE("broken reviews and metadata are refused with file and line") {
  struct Case {
    std::string bytes, part;
  };
  const Case reviews[] = {
      {"", "there are no reviews"},
      {"[]\n", "a.json:1"},
      {"5\n", "expected an object"},
      {"{}\n", "a.json:1: user: missing"},
      {R"({"reviewerID": "A", "unixReviewTime": 1})"
       "\n",
       "item: missing"},
      {R"({"reviewerID": "A", "asin": "B"})"
       "\n",
       "unixReviewTime or timestamp: missing"},
      {R"({"reviewerID": 5, "asin": "B", "unixReviewTime": 1})"
       "\n",
       "expected a text as user"},
      {R"({"reviewerID": "A", "asin": "B", "unixReviewTime": "1"})"
       "\n",
       "expected an integer as time"},
      {R"({"reviewerID": "A", "asin": "B", "unixReviewTime": 1.5})"
       "\n",
       "expected an integer as time"},
      {reviews_2014 + "{\n", "a.json:4"},
      {reviews_2014 + "\n", "a.json:4"},
      {R"({'reviewerID': 'A', 'asin': 'B', 'unixReviewTime': 1})"
       "\n",
       "not valid JSON"},
      {"{\"reviewerID\": \"\xff\", \"asin\": \"B\", \"unixReviewTime\": 1}\n", "UTF-8"},
  };
  const TemporaryFolder folder;
  for (const Case& c : reviews) {
    CAPTURE(c.bytes);
    const auto result = simgr::data::try_read_amazon_reviews(put_json(folder, c.bytes));
    REQUIRE_FALSE(result.ok());
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
  }
  const Case metadata[] = {
      {"", "there are no items"},
      {"\n", "a.json:1"},
      {"{'title': 'x'}\n", "a.json:1: asin: missing"},
      {"{'asin': 'x', 'title': 5}\n", "a.json:1: title: expected a text"},
      {"{'asin': 'x'\n", "not a Python literal"},
      {"{\"asin\": 'x'}\n", "not valid JSON"},
      {"[1]\n", "expected an object, found array"},
  };
  for (const Case& c : metadata) {
    CAPTURE(c.bytes);
    const auto result = simgr::data::try_read_amazon_metadata(put_json(folder, c.bytes));
    REQUIRE_FALSE(result.ok());
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
  }
}

TEST_CASE("reviews cut at any byte are refused but at the ends of lines") {
  const TemporaryFolder folder;
  for (std::size_t cut = 0; cut < reviews_2014.size(); ++cut) {
    const bool ends = cut > 0 && (reviews_2014[cut] == '\n' || reviews_2014[cut - 1] == '\n');
    CAPTURE(cut);
    CHECK(
        simgr::data::try_read_amazon_reviews(put_json(folder, reviews_2014.substr(0, cut))).ok() ==
        ends);
  }
}
