// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/neighbours.hpp>

#include <string>

#include <doctest/doctest.h>

#include <support/temporary_folder.hpp>

namespace {

std::string verdict_on_neighbours(std::string_view text, simgr::Index items) {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("n.tsv");
  simgr_test::write_bytes(path, text);
  const auto result = simgr::io::try_read_neighbours(path, items);
  return result.ok() ? "accepted" : std::string(result.error().what()).substr(path.size());
}

}  // namespace

TEST_CASE("neighbours come back as they were written, those of items without any, too") {
  const simgr_test::TemporaryFolder folder;
  simgr::Ragged<simgr::ItemId> lists;
  lists.push_back(std::vector<simgr::ItemId>{2, 1});
  lists.push_back({});
  lists.push_back(std::vector<simgr::ItemId>{0});
  const std::string path = folder.file("neighbours.tsv");
  simgr::io::write_neighbours(path, lists);
  CHECK(simgr_test::read_bytes(path) == "item\tneighbours\n0\t2 1\n1\t\n2\t0\n");
  const auto read = simgr::io::read_neighbours(path, 3);
  CHECK(read.values == lists.values);
  CHECK(read.offsets == lists.offsets);
  simgr::io::write_neighbours(path, simgr::RaggedView<simgr::ItemId>{});
  CHECK(simgr::io::read_neighbours(path, 0).sequences() == 0);
}

TEST_CASE("a file of neighbours that cannot be is refused where it is wrong") {
  const std::string head = "item\tneighbours\n";
  CHECK(verdict_on_neighbours(head + "0\t1\r\n1", 2) == "accepted");
  CHECK(verdict_on_neighbours("", 2) == ": expected neighbours of 2 items, found those of 0");
  CHECK(verdict_on_neighbours("item\tnear\n", 2) ==
        ":1: expected the header item<TAB>neighbours, found \"item\\tnear\"");
  CHECK(verdict_on_neighbours(head + "0\t1\n", 2) ==
        ": expected neighbours of 2 items, found those of 1");
  CHECK(verdict_on_neighbours(head + "0\t1\n0\t1\n", 2) == ":3: expected item 1, found \"0\"");
  CHECK(verdict_on_neighbours(head + "0\t\n1\t0\n2\t0\n", 2) ==
        ":4: expected the end after 2 items, found \"2\"");
  CHECK(verdict_on_neighbours(head + "0\t2\n", 2) ==
        ":2: expected a neighbour from 0 to 1, found \"2\"");
  CHECK(verdict_on_neighbours(head + "0\t1x\n", 2) ==
        ":2: expected a neighbour from 0 to 1, found \"1x\"");
  CHECK(verdict_on_neighbours(head + "0\t99999999999999999999\n", 2) ==
        ":2: expected a neighbour from 0 to 1, found \"99999999999999999999\"");
  CHECK(verdict_on_neighbours(head + "0\t0\n", 2) == ":2: item 0 is listed as its own neighbour");
  CHECK(verdict_on_neighbours(head + "0\t1 2 1\n", 3) == ":2: item 1 is listed twice");
}
