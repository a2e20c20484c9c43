// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/sequences.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

using simgr::ItemId;
using simgr::data::try_read_sequences;
using simgr_test::TemporaryFolder;

namespace {

simgr::Result<simgr::data::Interactions>
read_histories(const TemporaryFolder& folder, const std::string& bytes, simgr::Index items = 0) {
  simgr_test::write_bytes(folder.file("s.tsv"), bytes);
  return try_read_sequences(folder.file("s.tsv"), {.items = items});
}

}  // namespace

TEST_CASE("sequences are read with and without times, from plain and gzip files") {
  const TemporaryFolder folder;
  const std::string text = "user\titems\ttimes\n0\t3 1 2\t10 10 4000000000\n1\t0\t5\n";
  for (const std::string& bytes : {text, simgr_test::gzip(text), text.substr(0, text.size() - 1)}) {
    const auto read_back = read_histories(folder, bytes).value_or_raise();
    CHECK(read_back.users() == 2);
    CHECK(read_back.items == 4);
    CHECK(read_back.histories.values == std::vector<ItemId>{3, 1, 2, 0});
    CHECK(read_back.times == std::vector<std::int64_t>{10, 10, 4000000000, 5});
    CHECK(read_back.times_of(1).size() == 1);
    CHECK(read_back.user_keys.empty());
    CHECK(read_back.item_keys.empty());
  }
  const auto untimed = read_histories(folder, "user\titems\r\n7\t3 1\r\n5\t2\r\n").value_or_raise();
  CHECK(untimed.histories.offsets == std::vector<simgr::Index>{0, 2, 3});
  CHECK_FALSE(untimed.timed());
  CHECK(untimed.user_keys == std::vector<std::string>{"7", "5"});
  CHECK(read_histories(folder, "user\titems\n0\t0\n", 9).value_or_raise().items == 9);
}

TEST_CASE("random histories of any length come back whole across blocks") {
  const TemporaryFolder folder;
  simgr::Rng rng(3);
  std::string text = "user\titems\ttimes\n";
  std::vector<ItemId> items;
  std::vector<std::int64_t> times;
  for (int user = 0; user < 3000; ++user) {
    const simgr::Index length = 1 + rng.below(user % 500 == 0 ? 20000 : 30);
    std::string first, second;
    std::int64_t time = rng.below(1000000);
    for (simgr::Index i = 0; i < length; ++i) {
      items.push_back(static_cast<ItemId>(rng.below(100000)));
      time += rng.below(100000000);
      times.push_back(time);
      first += (i > 0 ? " " : "") + std::to_string(items.back());
      second += (i > 0 ? " " : "") + std::to_string(time);
    }
    text += std::to_string(user) + "\t" + first + "\t" + second + "\n";
  }
  const auto plain = read_histories(folder, text).value_or_raise();
  CHECK(plain.histories.values == items);
  CHECK(plain.times == times);
  const auto packed = read_histories(folder, simgr_test::gzip(text)).value_or_raise();
  CHECK(packed.histories.offsets == plain.histories.offsets);
  CHECK(simgr::data::fingerprint(packed) == simgr::data::fingerprint(plain));
}

TEST_CASE("broken sequences are refused with file, line and column") {
  struct Case {
    std::string bytes, part;
  };
  const std::string head = "user\titems\n", timed = "user\titems\ttimes\n";
  const Case cases[] = {
      {"", "s.tsv:1: header: expected user<TAB>items"},
      {"\n", "s.tsv:1: header"},
      {"user,items\n0,1\n", "found \"user,items\""},
      {"user\titem\n0\t1\n", "s.tsv:1: header"},
      {head, "no users behind the header"},
      {head + "0\t1\n0\t2\n", "s.tsv:3: user: user 0 has a line already"},
      {head + "5\t1\n6\t2\n5\t3\n", "s.tsv:4: user: user 5 has a line already"},
      {head + "0\t1 x\n", "s.tsv:2: items: expected a number, found \"x\""},
      {head + "0\t1.5\n", "items: expected a number, found \"1.\""},
      {head + "0\t-1\n", "s.tsv:2: items: negative"},
      {head + "-1\t1\n", "s.tsv:2: user: negative"},
      {head + "a\t1\n", "s.tsv:2: user: expected a number"},
      {head + "\t1\n", "s.tsv:2: user: empty"},
      {head + "0\t\n", "s.tsv:2: items: empty"},
      {head + "0\n", "s.tsv:2: user: expected \\t behind 0"},
      {head + "0 1\n", "user: expected \\t behind 0"},
      {head + "\n", "s.tsv:2: user: empty"},
      {head + "0\t1\n\n1\t2\n", "s.tsv:3: user: empty"},
      {head + "0\t1  2\n", "items: empty"},
      {head + "0\t1 2 \n", "items: empty"},
      {head + "0\t 1\n", "items: empty"},
      {head + "0\t1,2\n", "items: expected a number, found \"1,\""},
      {head + "0\t\xff\xfe\n", "items: expected a number, found bytes that are not ASCII"},
      {head + "\xc3\xa9\t1\n", "user: expected a number, found bytes that are not ASCII"},
      {head + "0\t2147483647\n", "items: the number 2147483647 is out of range"},
      {head + "0\t99999999999999999999\n",
       "items: the number 99999999999999999999 is out of range"},
      {head + "0\t1000000000\n", "items: the largest item id is 1000000000 among 1 interactions"},
      {head + "0\t1\t5\n", "items: expected a blank or \\n behind 1"},
      {head + std::string("0\t1\0\n", 5), "items: expected a number"},
      {timed + "0\t1 2\t5\n", "s.tsv:2: times: expected 2 times, found 1"},
      {timed + "0\t1 2\t5 6 7\n", "times: expected 2 times, found 3"},
      {timed + "0\t1 2\n", "items: expected a blank or \\t behind 2"},
      {timed + "0\t1 2\t\n", "times: empty"},
      {timed + "0\t1 2\t6 5\n", "times: a history must be oldest first"},
      {timed + "0\t1 2\t5 x\n", "times: expected a number"},
      {timed + "0\t1 2\t-5 6\n", "times: negative"},
      {timed + "0\t1\t5\t6\n", "times: expected a blank or \\n behind 5"},
      {timed + "0\t1\t99999999999999999\n", "times: the number 99999999999999999 is out of range"},
      {head + "0\t\r\n", "s.tsv:2: items: empty: expected a number"},
      {head + "0\t1 \r\n", "s.tsv:2: items: empty: expected a number"},
      {head + "\r\n", "s.tsv:2: user: empty: expected a number"},
      {timed + "0\t1\t\r\n", "s.tsv:2: times: empty: expected a number"},
      {head + "0\t1\r2\n", "items: expected a blank or \\n behind 1"},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const auto result = read_histories(folder, c.bytes);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().kind() == simgr::ErrorKind::data);
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
  }
  const auto beyond = read_histories(folder, head + "0\t1 9\n", 9);
  REQUIRE_FALSE(beyond.ok());
  CHECK(std::string(beyond.error().what()).find("item 9 is out of range: there are 9 items") !=
        std::string::npos);
  CHECK_THROWS_AS(simgr::data::read_sequences(folder.file("absent")), simgr::IoError);
}

TEST_CASE("a file cut at any byte gives an error or the beginning of the data") {
  const TemporaryFolder folder;
  const std::string text =
      "user\titems\ttimes\n0\t3 1 2\t10 10 40\n1\t0 12\t5 6\n2\t7\t123456789\n";
  const auto whole = read_histories(folder, text).value_or_raise();
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    auto part = read_histories(folder, text.substr(0, cut));
    if (part.ok()) {
      const auto& values = part->histories.values;
      REQUIRE(values.size() <= whole.histories.values.size());
      CHECK(std::equal(values.begin(), values.end(), whole.histories.values.begin()));
    }
  }
  const std::string packed = simgr_test::gzip(text);
  for (std::size_t cut = 0; cut < packed.size(); ++cut) {
    CHECK_FALSE(read_histories(folder, packed.substr(0, cut)).ok());
  }
}

TEST_CASE(
    "a sparse file of a terabyte is refused for what it holds, without room for what it claims") {
  const TemporaryFolder folder;
  for (const char* text : {"user\titems\n0\t1 2 3\n", "user\titems\ttimes\n0\t1 2 3\t4 5 6\n"}) {
    simgr_test::write_bytes(folder.file("s.tsv"), text);
    std::error_code error;
    std::filesystem::resize_file(folder.file("s.tsv"), std::uintmax_t{1} << 40, error);
    if (error) {
      MESSAGE("no sparse files here: ", error.message());
      return;
    }
    const auto result = simgr::data::try_read_sequences(folder.file("s.tsv"));
    REQUIRE_FALSE(result.ok());
    const std::string sentence = result.error().what();
    CHECK_MESSAGE(sentence.find("s.tsv") != std::string::npos, sentence);
  }
}
