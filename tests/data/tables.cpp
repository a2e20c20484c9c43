// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/tables.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

using simgr::Index;
using simgr::ItemId;
using simgr::data::Interactions;
using simgr::data::TableOptions;
using simgr_test::TemporaryFolder;

namespace {

simgr::Result<Interactions> read_table_of(const TemporaryFolder& folder, const std::string& bytes,
                                          const TableOptions& options = {}) {
  simgr_test::write_bytes(folder.file("t.csv"), bytes);
  return simgr::data::try_read_table(folder.file("t.csv"), options);
}

simgr::Result<Interactions> inter(const TemporaryFolder& folder, const std::string& bytes,
                                  const TableOptions& options = {}) {
  simgr_test::write_bytes(folder.file("t.inter"), bytes);
  return simgr::data::try_read_inter(folder.file("t.inter"), options);
}

}  // namespace

TEST_CASE("times may be dates, and sort as such") {
  const TemporaryFolder folder;
  const auto table =
      read_table_of(folder, "user,item,time\n1,a,2014-07-23\n1,b,2013-12-31T23:59:59Z\n"
                            "1,c,2014-07-23 00:00:01\n")
          .value_or_raise();
  CHECK(table.histories[0][0] == 1);
  CHECK(table.histories[0][1] == 0);
  CHECK(table.histories[0][2] == 2);
}

TEST_CASE("rows become histories by user, sorted by time, with keys by first appearance") {
  const TemporaryFolder folder;
  const std::string text =
      "user_id,item_id,timestamp\nu2,b,30\nu1,a,10\nu2,a,20\nu1,c,5\nu2,c,20\n";
  for (const std::string& bytes :
       {text, simgr_test::gzip(text), "\xef\xbb\xbf" + text, text.substr(0, text.size() - 1)}) {
    const auto table = read_table_of(folder, bytes).value_or_raise();
    CHECK(table.user_keys == std::vector<std::string>{"u2", "u1"});
    CHECK(table.item_keys == std::vector<std::string>{"b", "a", "c"});
    CHECK(table.histories.offsets == std::vector<Index>{0, 3, 5});
    CHECK(table.histories.values == std::vector<ItemId>{1, 2, 0, 2, 1});  // ties in file order
    CHECK(table.times == std::vector<std::int64_t>{20, 20, 30, 5, 10});
    CHECK(table.items == 3);
  }
}

TEST_CASE("separators, quotes, line ends, other columns and numbers of all sorts") {
  const TemporaryFolder folder;
  const std::vector<std::string> keys = {"a,\"b\"\nc", "d"};
  const auto quoted =
      read_table_of(folder,
                    "rating,User,Item,time\r\n5,\"a,\"\"b\"\"\nc\",x,1\r\n,\"d\",\"y\",2.75\r\n")
          .value_or_raise();
  CHECK(quoted.user_keys == keys);
  CHECK(quoted.times == std::vector<std::int64_t>{1, 2});
  CHECK(read_table_of(folder, "user\titem\nu\t\"x\n", {.csv = {.quotes = false}})
            .value_or_raise()
            .item_keys == std::vector<std::string>{"\"x"});
  CHECK(read_table_of(folder, "user;item\nu;x\n").value_or_raise().items == 1);
  CHECK(read_table_of(folder, "a|b|c\nu|3.5|x\n",
                      {.user = "a", .item = "c", .csv = {.separator = '|'}})
            .value_or_raise()
            .item_keys == std::vector<std::string>{"x"});
  const auto bare = read_table_of(folder, "u,x,5\nv,y,6\n",
                                  {.user = "1", .item = "2", .time = "3", .csv = {.header = false}})
                        .value_or_raise();
  CHECK(bare.user_keys == std::vector<std::string>{"u", "v"});
  CHECK(bare.times == std::vector<std::int64_t>{5, 6});
  const auto dense = read_table_of(folder, "user,item\n0,0\n0,1\n1,0\n").value_or_raise();
  CHECK(dense.user_keys.empty());
  CHECK(dense.item_keys.empty());
  CHECK_FALSE(dense.timed());
  const auto names =
      read_table_of(folder, "user,item,time\n7,07,-3\n7,7,1e3\n007,7,4\n").value_or_raise();
  CHECK(names.user_keys == std::vector<std::string>{"7", "007"});
  CHECK(names.item_keys == std::vector<std::string>{"07", "7"});
  CHECK(names.times == std::vector<std::int64_t>{-3, 1000, 4});
  CHECK(read_table_of(folder, "user,item\n\n1,2\n\r\n3,4\n\n").value_or_raise().users() == 2);
}

TEST_CASE("numbers are read the same way fast and slowly") {
  const TemporaryFolder folder;
  simgr::Rng rng(5);
  std::string fast = "user,item,time\n", slow = "user,item,time\n";
  for (int row = 0; row < 60000; ++row) {
    const std::string user = std::to_string(rng.below(row % 3 == 0 ? 100 : 100000000)),
                      item = std::to_string(rng.below(5000)),
                      time = std::to_string(rng.below(2000000000));
    fast += user + "," + item + "," + time + (row % 7 == 0 ? "\r\n" : "\n");
    slow += "\"" + user + "\",\"" + item + "\",\"" + time + "\"\n";
  }
  const auto a = read_table_of(folder, fast).value_or_raise(),
             b = read_table_of(folder, slow).value_or_raise();
  CHECK(a.histories.tokens() == 60000);
  CHECK(simgr::data::fingerprint(a) == simgr::data::fingerprint(b));
  for (Index user = 0; user < a.users(); ++user) {
    const auto times = a.times_of(user);
    REQUIRE(std::is_sorted(times.begin(), times.end()));
  }
}

TEST_CASE("RecBole files are read by their typed header") {
  const TemporaryFolder folder;
  const auto table = inter(folder, "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
                                   "u\t\"q\t5\t881250949.0\nu\tb\t3\t8.0e8\n")
                         .value_or_raise();
  CHECK(table.item_keys == std::vector<std::string>{"\"q", "b"});
  CHECK(table.histories.values == std::vector<ItemId>{1, 0});
  CHECK(table.times == std::vector<std::int64_t>{800000000, 881250949});
  CHECK(inter(folder, "uid:token\tiid:token\n1\t2\n", {.user = "uid", .item = "iid"})
            .value_or_raise()
            .users() == 1);
  struct Case {
    std::string bytes, part;
  };
  const Case cases[] = {
      {"user_id\titem_id\n1\t2\n", "user_id: expected name:type"},
      {"user_id:token\titem_id:int\n1\t2\n", "item_id:int: expected name:type"},
      {"user_id:token\tthing:token\n1\t2\n", "no column \"item_id:token\""},
      {"user_id:token,item_id:token\n1,2\n", "no column"},
      {"user_id:token\titem_id_list:token_seq\titem_id:token\n1\t2 3\t4\n", "whole histories"},
      {"user_id:token\titem_id:token\ttimestamp:float\n1\t2\tlate\n",
       "timestamp:float: expected a time"},
      {"user_id:token\titem_id:token\n1\n", "t.inter:2: expected 2 fields, found 1"},
      {"user_id:token\titem_id:token\n", "no rows behind the header"},
  };
  for (const Case& c : cases) {
    const auto result = inter(folder, c.bytes);
    REQUIRE_FALSE(result.ok());
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
  }
  const std::string good = "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n";
  for (const TableOptions& options : {TableOptions{.user = "item_id"}, {.time = "user_id"}}) {
    const auto result = inter(folder, good, options);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().kind() == simgr::ErrorKind::config);
    CHECK(std::string(result.error().what()).find("one column cannot be both") !=
          std::string::npos);
  }
}

TEST_CASE("broken tables are refused with file, line and column") {
  struct Case {
    std::string bytes, part;
    TableOptions options{};
  };
  const std::string head = "user,item,time\n", nul("u\0v", 3);
  const Case cases[] = {
      {"", "t.csv:1: the file is empty"},
      {"\n", "hold the user"},
      {"\xef\xbb\xbf", "the file is empty"},
      {head, "no rows behind the header"},
      {head + "\n\n", "no rows behind the header"},
      {"name,item\n1,2\n", "hold the user; say which one does; the header has: name item"},
      {"user,thing\n1,2\n", "hold the item; say which one does"},
      {"user,item,user\n1,2,3\n", "t.csv:1: two columns are named \"user\""},
      {"user,\x1b[2J" + std::string(90, 'x') + ",\x1b[2J" + std::string(90, 'x') + "\n1,2,3\n",
       "two columns are named \"\\x1b[2J" + std::string(36, 'x') + "...\""},
      {"name,a\x07" + std::string(90, 'b') + "\n1,2\n",
       "has: name a\\x07" + std::string(38, 'b') + "..."},
      {"user,item,\"t\nx\"\n1,2,\x1b\n",
       "t\\x0ax: expected a time, found \"\\x1b\"",
       {.time = "t\nx"}},
      {"user,item,\xff\n1,2,3\n", "the name of column 3 is not UTF-8"},
      {"user,item\n1,2\n", "no column \"buyer\"; the header has: user item", {.user = "buyer"}},
      {"user,item\n1,2\n", "no column \"when\"", {.time = "when"}},
      {"user,item\n1,2\n", "item: one column cannot be both user and item", {.user = "item"}},
      {head + "1,2,3\n", "user: one column cannot be both user and time", {.time = "user"}},
      {head + "1,2,3\n", "item: one column cannot be both item and time", {.time = "item"}},
      {"user,item\n1,2\n", "hold the user", {.csv = {.separator = ';'}}},
      {head + "1,2\n", "t.csv:2: expected 3 fields, found 2"},
      {head + "1,2,3,4\n", "t.csv:2: expected 3 fields, found 4"},
      {head + "1,2,3\n1\n", "t.csv:3: expected 3 fields, found 1"},
      {head + "1,2,3\n\n1,2,3,4\n", "t.csv:4: expected 3 fields"},
      {head + "1 2 3\n", "t.csv:2: expected 3 fields, found 1"},
      {head + "1\t2\t3\n", "expected 3 fields, found 1"},
      {head + ",2,3\n", "t.csv:2: user: empty"},
      {head + "1,,3\n", "t.csv:2: item: empty"},
      {head + "\"\",2,3\n", "t.csv:2: user: empty"},
      {head + "1,2,\n", "t.csv:2: time: expected a time, found \"\""},
      {head + "1,2,soon\n", "time: expected a time, found \"soon\""},
      {head + "1,2,01.02.2014\n", "time: expected a time, found \"01.02.2014\"; any number that "
                                  "grows with time will do, or a date like 2014-07-23"},
      {head + "1,2,2014-02-30\n", "time: expected a time, found \"2014-02-30\""},
      {head + "1,2,nan\n", "found \"nan\""},
      {head + "1,2,inf\n", "found \"inf\""},
      {head + "1,2,1e30\n", "found \"1e30\""},
      {head + "1,2,3 \n", "found \"3 \""},
      {head + "1,2, 3\n", "found \" 3\""},
      {head + "1,2,0x10\n", "found \"0x10\""},
      {head + "1,2,1,5\n", "expected 3 fields, found 4"},
      {head + "1,2,3\n1,2,99999999999999999999999\n", "t.csv:3: time: expected a time"},
      {head + "a\xff,2,3\n", "t.csv:2: user: byte 1 of the key is not UTF-8"},
      {head + "1,\xc3,3\n", "item: byte 0 of the key is not UTF-8"},
      {head + "1,\xed\xa0\x80,3\n", "item: byte 0 of the key is not UTF-8"},
      {head + "1,\xc0\xaf,3\n", "item: byte 0 of the key is not UTF-8"},
      {head + "1,\xf5\x80\x80\x80,3\n", "item: byte 0 of the key is not UTF-8"},
      {head + "1," + std::string(5000, 'x') + ",3\n", "item: a key of 5000 bytes"},
      {head + "\"1,2,3\n", "t.csv:2: a quote that opens here is never closed"},
      {head + "1,2,3\n\"1\"\"\n2,3,4\n", "t.csv:3: a quote that opens here is never closed"},
      {head + "\"1\"x,2,3\n", "t.csv:2: there is text behind the closing quote of field 1"},
      {head + "1,\"2\" ,3\n", "closing quote of field 2"},
      {head + "\"a\nb\",2,3\n1,2\n", "t.csv:4: expected 3 fields, found 2"},
      {"\"user,item\n", "t.csv:1: a quote that opens here is never closed"},
      {head + "1,2,3\n" + std::string(200000, '7') + "\n", "t.csv:3: expected 3 fields, found 1"},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    CAPTURE(c.bytes.substr(0, 100));
    const auto result = read_table_of(folder, c.bytes, c.options);
    REQUIRE_FALSE(result.ok());
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
  }
  CHECK(read_table_of(folder, head + nul + ",2,3\n").value_or_raise().user_keys.front() == nul);
  CHECK_THROWS_AS(simgr::data::read_table(folder.file("absent")), simgr::IoError);
}

TEST_CASE("a quoted field that is never closed costs the limit of a line, not the file") {
  const TemporaryFolder folder;
  std::string text = "user,item\n\"";
  for (int i = 0; i < 300000; ++i) { text += "1,2\n"; }
  CHECK_FALSE(read_table_of(folder, text).ok());
  const auto result = read_table_of(folder, text, {.csv = {.limits = {.line_bytes = 200000}}});
  REQUIRE_FALSE(result.ok());
  CHECK(std::string(result.error().what()).find("longer than 200000") != std::string::npos);
}

TEST_CASE("a table cut at any byte gives an error or the beginning of the data") {
  const TemporaryFolder folder;
  const std::string text = "user,item,time\nu2,b,30\n1,\"a\nb\",10\nu2,12,20\n1,12,5\n";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    auto part = read_table_of(folder, text.substr(0, cut));
    if (part.ok()) {
      CHECK(part->histories.tokens() <= 4);
    }
  }
  const std::string packed = simgr_test::gzip(text);
  for (std::size_t cut = 0; cut < packed.size(); ++cut) {
    CHECK_FALSE(read_table_of(folder, packed.substr(0, cut)).ok());
  }
}
