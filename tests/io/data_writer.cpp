// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/data_writer.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/data/items.hpp>
#include <simgr/data/npy.hpp>
#include <simgr/data/sequences.hpp>
#include <simgr/data/synthetic_catalogue.hpp>

#include <support/temporary_folder.hpp>

TEST_CASE("a matrix is written as numpy writes it and reads back bit for bit") {
  const simgr_test::TemporaryFolder folder;
  simgr::OwnedMatrix<float> matrix(3, 5);
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    matrix.values[i] = 1.0f / static_cast<float>(i + 1);
  }
  simgr::io::write_npy(folder.file("m.npy"), matrix);
  const std::string bytes = simgr_test::read_bytes(folder.file("m.npy"));
  CHECK(bytes.size() == 128 + 60);
  CHECK(bytes.substr(0, 10) == std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  CHECK(bytes.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }   ") == 10);
  CHECK(bytes[127] == '\n');
  const auto back = simgr::data::read_npy(folder.file("m.npy"));
  CHECK(back.rows == 3);
  CHECK(back.values == matrix.values);
  CHECK(folder.entries() == 1);
}

TEST_CASE("views of any rank and of integers are written as numpy writes them") {
  const simgr_test::TemporaryFolder folder;
  const auto header_of = [&](const auto& view) {
    simgr::io::write_npy(folder.file("v.npy"), view);
    const std::string bytes = simgr_test::read_bytes(folder.file("v.npy"));
    CHECK(bytes.size() == 128 + sizeof(*view.data()) * static_cast<std::size_t>(view.size()));
    return bytes.substr(10, bytes.find('}') - 9);
  };
  const std::vector<std::int32_t> codes{1, 2, 3, 4, 5, 6};
  const std::vector<double> numbers{0.1, 0.2, 0.3};
  CHECK(header_of(simgr::Matrix<const std::int32_t>(codes.data(), {2, 3})) ==
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }");
  CHECK(header_of(simgr::View<const std::int32_t, 3>(codes.data(), {1, 2, 3})) ==
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2, 3), }");
  CHECK(header_of(simgr::Vector<const double>(numbers.data(), {3})) ==
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }");
  CHECK(simgr_test::read_bytes(folder.file("v.npy")).substr(128, 8) ==
        std::string(reinterpret_cast<const char*>(numbers.data()), 8));
}

TEST_CASE("a synthetic world goes through its files unchanged") {
  const simgr_test::TemporaryFolder folder;
  const auto world = simgr::data::synthetic_catalogue({.users = 100});
  simgr::io::write_sequences(folder.file("sequences.tsv"), world.interactions);
  simgr::io::write_items(folder.file("items.jsonl"), world.items);
  const auto interactions =
      simgr::data::read_sequences(folder.file("sequences.tsv"), {.items = 600});
  CHECK(simgr::data::fingerprint(interactions) == simgr::data::fingerprint(world.interactions));
  const auto items = simgr::data::read_items(folder.file("items.jsonl"));
  REQUIRE(items.size() == world.items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    CHECK(items[i].key == world.items[i].key);
    CHECK(items[i].categories == world.items[i].categories);
    CHECK(simgr::data::item_text(items[i]) == simgr::data::item_text(world.items[i]));
  }
}

TEST_CASE("all fields of an item survive, with quotes and control characters") {
  const simgr_test::TemporaryFolder folder;
  simgr::data::ItemText item;
  item.text = "a \"b\"\n\t\\ \xc3\xa9 \x01";
  item.phrase = "p";
  item.terms = {"x", "y"};
  item.attributes = {-1, 7};
  simgr::io::write_items(folder.file("i"), std::vector{item});
  const auto back = simgr::data::read_items(folder.file("i")).front();
  CHECK(back.text == item.text);
  CHECK(back.phrase == "p");
  CHECK(back.terms == item.terms);
  CHECK(back.attributes == item.attributes);
  CHECK_THROWS_AS(simgr::io::write_items(folder.file("no/such"), std::vector{item}),
                  simgr::IoError);
}
