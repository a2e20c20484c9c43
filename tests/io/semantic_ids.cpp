// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/semantic_ids.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>
#include <simgr/io/inverse_ids.hpp>

namespace {

using simgr::Index;
using simgr_test::TemporaryFolder;

simgr::SemanticIds three_items() {
  simgr::SemanticIds ids;
  ids.codes = simgr::OwnedMatrix<std::int32_t>(3, 2);
  ids.codes.values = {5, 0, 2, 7, 5, 0};
  ids.codes_per_digit = {6, 8};
  return ids;
}

/// What the reader says about this text: "accepted", or the message behind the path.
std::string verdict_on_ids(const TemporaryFolder& folder, std::string_view text) {
  const std::string path = folder.file("ids");
  simgr_test::write_bytes(path, text);
  const auto result = simgr::io::try_read_semantic_ids(path);
  return result.ok() ? "accepted" : std::string(result.error().what()).substr(path.size());
}

}  // namespace

TEST_CASE("semantic ids come back as they were written") {
  const TemporaryFolder folder;
  const std::string path = folder.file("ids.tsv");
  simgr::io::write_semantic_ids(path, three_items());
  CHECK(simgr_test::read_bytes(path) ==
        "item\tdigits\tcodes_per_digit=6 8\n0\t5 0\n1\t2 7\n2\t5 0\n");
  const auto ids = simgr::io::read_semantic_ids(path);
  CHECK(ids.codes.values == three_items().codes.values);
  CHECK(ids.items() == 3);
  CHECK(ids.digits() == 2);
  CHECK(ids.codes_per_digit == std::vector<Index>{6, 8});
}

TEST_CASE("without codes_per_digit the largest code decides") {
  const TemporaryFolder folder;
  simgr_test::write_bytes(folder.file("x"), "item\tdigits\r\n0\t5 0\r\n1\t2 7");
  CHECK(simgr::io::read_semantic_ids(folder.file("x")).codes_per_digit == std::vector<Index>{6, 8});
}

TEST_CASE("an LC-Rec index is read in any order") {
  const TemporaryFolder folder;
  simgr_test::write_bytes(folder.file("x"),
                          R"({"1": ["<a_2>", "<b_7>"], "0": ["<a_5>", "<b_0>"]})");
  const auto ids = simgr::io::read_semantic_ids(folder.file("x"));
  CHECK(ids.codes.values == std::vector<std::int32_t>{5, 0, 2, 7});
  CHECK(ids.codes_per_digit == std::vector<Index>{6, 8});
}

TEST_CASE("an LC-Rec index comes back as it was written") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x.index.json");
  simgr::io::write_lc_rec_index(path, three_items());
  CHECK(simgr_test::read_bytes(path) ==
        "{\n\"0\": [\"<a_5>\",\"<b_0>\"],\n\"1\": "
        "[\"<a_2>\",\"<b_7>\"],\n\"2\": [\"<a_5>\",\"<b_0>\"]\n}\n");
  const auto ids = simgr::io::read_semantic_ids(path);
  CHECK(ids.codes.values == three_items().codes.values);
  CHECK(ids.codes_per_digit == std::vector<Index>{6, 8});
  simgr::SemanticIds wide;
  wide.codes = simgr::OwnedMatrix<std::int32_t>(1, 27);
  wide.codes_per_digit.assign(27, 1);
  CHECK_THROWS_AS(simgr::io::write_lc_rec_index(path, wide), simgr::ConfigError);
  CHECK(simgr::io::read_semantic_ids(path).items() == 3);
}

TEST_CASE("broken id files are refused with the line and the reason") {
  const TemporaryFolder folder;
  const std::pair<const char*, const char*> cases[] = {
      {"item\tdigits\n0\t1\n", "accepted"},
      {"", ": holds no items"},
      {"item\tdigits\n", ": holds no items"},
      {"user\titems\n0\t1\n", ":1: expected the header item<TAB>digits, found \"user\\titems\""},
      {"item digits\n0\t1\n", ":1: expected the header"},
      {"item\tdigits\tcodes\n0\t1\n", ":1: expected item<TAB>digits or"},
      {"item\tdigits\tcodes_per_digit=\n0\t1\n", ":1: codes_per_digit: expected numbers"},
      {"item\tdigits\tcodes_per_digit=0\n0\t0\n",
       ":1: codes_per_digit: expected numbers from 1 to"},
      {"item\tdigits\tcodes_per_digit=4 x\n0\t1 1\n",
       ":1: codes_per_digit: expected numbers from 1 to 2147483646, found \"x\""},
      {"item\tdigits\tcodes_per_digit=4 4\n0\t4 1\n1\t3 2\n2\t1 4\n",
       ": digit 0: code 4 of item 0 is out of range: codes_per_digit says 4"},
      {"item\tdigits\tcodes_per_digit=4 4\n0\t3 1\n1\t3 4\n2\t1 1\n",
       ": digit 1: code 4 of item 1 is out of range: codes_per_digit says 4"},
      {"item\tdigits\tcodes_per_digit=4\n0\t1 1\n",
       ": codes_per_digit names 1 digits, the items have 2"},
      {"item\tdigits\tcodes_per_digit=2000000000\n0\t1\n",
       ": digit 0: 2000000000 codes for 1 items are out of proportion"},
      {"item\tdigits\tcodes_per_digit=600000 600000\n0\t1 1\n",
       ": digit 1: 600000 codes for 1 items are out of proportion"},
      {"item\tdigits\tcodes_per_digit=500000 500032\n0\t1 1\n", "accepted"},
      {"item\tdigits\tcodes_per_digit=500000 500033\n0\t1 1\n", ": digit 1: 500033 codes"},
      {"item\tdigits\n0\t2000000000\n",
       ": digit 0: 2000000001 codes for 1 items are out of proportion"},
      {"item\tdigits\n0\t1 2\n1\t1\n", ":3: expected 2 codes as in the items before, found 1"},
      {"item\tdigits\n0\t1\n1\t1 2\n", ":3: expected 1 codes as in the items before, found 2"},
      {"item\tdigits\n0\t1\n0\t2\n", ":3: expected item 1, found \"0\""},
      {"item\tdigits\n1\t1\n", ":2: expected item 0, found \"1\""},
      {"item\tdigits\n0\n", ":2: expected at least 1 codes"},
      {"item\tdigits\n0\t\n", ":2: expected at least 1 codes"},
      {"item\tdigits\n0\t-1\n", ":2: expected a code from 0 to 2147483646, found \"-1\""},
      {"item\tdigits\n0\t1.5\n", ":2: expected a code from 0 to 2147483646, found \"1.5\""},
      {"item\tdigits\n0\t9999999999999999999999\n", ":2: expected a code from 0"},
      {"item\tdigits\n0\t1  2\n", ":2: expected a code from 0 to 2147483646, found \"\""},
      {"item\tdigits\n0\t1\n\n", ":3: expected item 1, found \"\""},
      {"item\tdigits\n\xff\t1\n", ":2: expected item 0, found \"\\xff\""},
      {"{}", "expected an object with members"},
      {R"({"0": ["<a_1>"]})", "accepted"},
      {R"({"0": ["<a_1>"], "2": ["<a_1>"]})", "expected item ids 0 to 1"},
      {R"({"0": ["<a_1>", "<b_1>"], "1": ["<a_1>"]})", "expected 2 tokens"},
      {R"({"0": ["<a-1>"]})", "is not of the form"},
      {R"({"0": ["a_1"]})", "accepted"},  // a term
      {R"({"0": ["a_1"], "1": ["a_1", "b_1"]})", "expected 1 terms"},
      {R"({"0": ["<a_1>"])", "not valid JSON"},
  };
  for (const auto& one : cases) {  // no names in brackets: clang cannot capture those
    CAPTURE(one.first);
    const std::string said = verdict_on_ids(folder, one.first);
    CAPTURE(said);
    CHECK(said.find(one.second) != std::string::npos);
  }
  CHECK_FALSE(simgr::io::try_read_semantic_ids(folder.file("none")).ok());
}

TEST_CASE("the inverse map finds the items of a tuple, of a prefix, and none") {
  const simgr::io::InverseIds inverse(three_items());
  const auto find = [&](std::vector<std::int32_t> codes) {
    const auto found = inverse.find(codes);
    return std::vector<simgr::ItemId>(found.begin(), found.end());
  };
  using Items = std::vector<simgr::ItemId>;
  CHECK(find({5, 0}) == Items{0, 2});
  CHECK(find({2, 7}) == Items{1});
  CHECK(find({2}) == Items{1});
  CHECK(find({}) == Items{1, 0, 2});
  CHECK(find({2, 8}).empty());
  CHECK(find({9, 0}).empty());
  CHECK(find({-1, 0}).empty());
  CHECK(find({5, 0, 0}).empty());
  CHECK(simgr::io::InverseIds().find(std::vector<std::int32_t>{1}).empty());
}

TEST_SUITE("data") {
  TEST_CASE("published indexes load, and their inverse agrees with a search") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    int files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*shared / "data")) {
      const std::string name = entry.path().filename().string();
      if (name.find(".index.") == std::string::npos || !name.ends_with(".json.gz")) {
        continue;
      }
      CAPTURE(entry.path().string());
      const auto ids = simgr::io::try_read_semantic_ids(entry.path().string());
      REQUIRE_MESSAGE(ids.ok(), (ids.ok() ? "" : ids.error().what()));
      ++files;
      CHECK(ids.value().items() > 3000);
      CHECK(ids.value().digits() >= 3);
      std::map<std::vector<std::int32_t>, std::vector<simgr::ItemId>> oracle;
      for (Index item = 0; item < ids.value().items(); ++item) {
        const auto row = ids.value().codes.view().row(item).span();
        oracle[{row.begin(), row.end()}].push_back(static_cast<simgr::ItemId>(item));
      }
      const simgr::io::InverseIds inverse(ids.value());
      for (const auto& [codes, items] : oracle) {
        const auto found = inverse.find(codes);
        REQUIRE(std::vector<simgr::ItemId>(found.begin(), found.end()) == items);
      }
      if (files == 1) {
        const TemporaryFolder folder;
        simgr::io::write_semantic_ids(folder.file("x"), ids.value());
        const auto again = simgr::io::read_semantic_ids(folder.file("x"));
        CHECK(again.codes.values == ids.value().codes.values);
        CHECK(again.codes_per_digit == ids.value().codes_per_digit);
      }
    }
    CHECK(files >= 10);
    std::printf("semantic ids: %d published indexes\n", files);
  }
}
