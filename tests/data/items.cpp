// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/items.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

using simgr::data::item_text;
using simgr::data::ItemText;
using simgr_test::TemporaryFolder;

namespace {

simgr::Result<std::vector<ItemText>> read_texts(const TemporaryFolder& folder,
                                                const std::string& bytes) {
  simgr_test::write_bytes(folder.file("i.jsonl"), bytes);
  return simgr::data::try_read_items(folder.file("i.jsonl"));
}

}  // namespace

TEST_CASE("records are read with whatever fields they have") {
  const TemporaryFolder folder;
  const std::string text =
      R"({"id":0,"asin":"B01","title":"Lamp","categories":[["Home","Light"],["Gifts"]],"brand":"X"})"
      "\n"
      R"({"id":1,"text":"all in one","attributes":[3,4],"price":12.5,"nested":{"a":[1]}})"
      "\n"
      R"({"terms":["night-cream","anti_age"],"phrase":"smooth skin","id":2,"title":"","brand":null})"
      "\n"
      R"({"id":3,"title":"T","categories":"One, Two","description":["First.","Second."]})"
      "\n";
  for (const std::string& bytes : {text, simgr_test::gzip(text)}) {
    const auto items = read_texts(folder, bytes).value_or_raise();
    REQUIRE(items.size() == 4);
    CHECK(items[0].key == "B01");
    CHECK(items[0].categories ==
          std::vector<std::vector<std::string>>{{"Home", "Light"}, {"Gifts"}});
    CHECK(items[1].attributes == std::vector<std::int64_t>{3, 4});
    CHECK(item_text(items[0]) == "Lamp. X. Gifts");
    CHECK(item_text(items[1]) == "all in one");
    CHECK(item_text(items[2]) == "smooth skin. night cream, anti age");
    CHECK(item_text(items[3]) == "T. One, Two. First. Second.");
  }
}

TEST_CASE("the text of an item leaves out what is missing and names that are sentences") {
  CHECK(item_text({}).empty());
  CHECK(item_text({.title = "T"}) == "T");
  CHECK(item_text({.brand = "B"}) == "B");
  CHECK(item_text({.description = "D", .categories = {{"a", "b"}}}) == "D. a, b");
  CHECK(item_text({.title = "T", .categories = {{"Games", std::string(41, 'x'), "PC"}}}) ==
        "T. Games, PC");
  CHECK(item_text({.title = "T", .phrase = "P", .terms = {"t"}}) == "T");
}

TEST_CASE("broken records are refused with file, line and field") {
  struct Case {
    std::string bytes, part;
  };
  const Case cases[] = {
      {"", "there are no items"},
      {"\n", "i.jsonl:1"},
      {"{\"id\":0}\n[1]\n", "i.jsonl:2: expected an object, found array"},
      {"{\"id\":1}\n", "i.jsonl:1: id: expected id 0, found 1"},
      {"{\"id\":0}\n{\"id\":0}\n", "i.jsonl:2: id: expected id 1, found 0"},
      {"{\"title\":\"x\"}\n", "id: expected id 0, found none"},
      {"{\"id\":\"0\"}\n", "id: expected id 0, found text"},
      {"{\"id\":0,\"title\":5}\n", "i.jsonl:1: title: expected a text, found integer"},
      {"{\"id\":0,\"terms\":\"x\"}\n", "terms: expected a list of texts, found text"},
      {"{\"id\":0,\"terms\":[1]}\n", "terms: expected a text, found integer"},
      {"{\"id\":0,\"categories\":{\"a\":1}}\n",
       "categories: expected a list of texts, found object"},
      {"{\"id\":0,\"categories\":[[1]]}\n", "categories: expected a text, found integer"},
      {"{\"id\":0,\"attributes\":[1.5]}\n", "attributes: expected an integer, found number"},
      {"{\"id\":0,\"title\":\"\xff\"}\n",
       "i.jsonl:1 at byte 17: not valid JSON: a byte that is not UTF-8"},
      {"{\"id\":0}\n{\"id\":1\n", "i.jsonl:2 at byte"},
      {"{\"id\":0,\"id\":0}\n", "stands twice"},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const auto result = read_texts(folder, c.bytes);
    REQUIRE_FALSE(result.ok());
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
  }
}

TEST_CASE("a file cut at any byte is refused but at the ends of lines") {
  const TemporaryFolder folder;
  const std::string text = "{\"id\":0,\"title\":\"a\"}\n{\"id\":1,\"title\":\"b\"}\n";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    CAPTURE(cut);
    const bool whole_lines = cut == 20 || cut == 21 || cut == 41;
    CHECK(read_texts(folder, text.substr(0, cut)).ok() == whole_lines);
  }
  const std::string packed = simgr_test::gzip(text);
  for (std::size_t cut = 0; cut < packed.size(); ++cut) {
    CHECK_FALSE(read_texts(folder, packed.substr(0, cut)).ok());
  }
}
