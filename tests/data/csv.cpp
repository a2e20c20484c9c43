// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/csv.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

using simgr::data::CsvReader;

TEST_CASE("random tables come back as they were written, whatever is in their fields") {
  const simgr_test::TemporaryFolder folder;
  simgr::Rng rng(1);
  const std::string alphabet = "ab,\"\n\r\t;1";
  std::vector<std::vector<std::string>> rows = {{"first", "second", "third"}};
  std::string text = "first,second,third\n";
  for (int row = 0; row < 20000; ++row) {
    std::vector<std::string> fields;
    for (int column = 0; column < 3; ++column) {
      std::string field;
      for (simgr::Index i = rng.below(row % 1000 == 0 ? 3000 : 8); i > 0; --i) {
        field += alphabet[static_cast<std::size_t>(
            rng.below(static_cast<simgr::Index>(alphabet.size())))];
      }
      const bool quote = field.find_first_of(",\"\n\r") != std::string::npos || rng.below(4) == 0;
      std::string written = quote ? "\"" : "";
      for (const char c : field) { written += c == '"' ? "\"\"" : std::string(1, c); }
      text += (column > 0 ? "," : "") + written + (quote ? "\"" : "");
      fields.push_back(field);
    }
    text += row % 5 == 0 ? "\r\n" : "\n";
    rows.push_back(fields);
  }
  for (const std::string& bytes : {text, simgr_test::gzip(text)}) {
    simgr_test::write_bytes(folder.file("t.csv"), bytes);
    auto table = CsvReader::open(folder.file("t.csv")).value_or_raise();
    CHECK(table.names() == rows.front());
    std::size_t row = 1;
    bool same = true;
    while (table.next()) {
      same = same && row < rows.size() && table.fields() == 3;
      for (std::size_t column = 0; same && column < 3; ++column) {
        same = table[column] == rows[row][column];
      }
      ++row;
    }
    CHECK_FALSE(table.failure().has_value());
    CHECK(same);
    CHECK(row == rows.size());
  }
}

TEST_CASE("columns are found by name, and rows know their lines") {
  const simgr_test::TemporaryFolder folder;
  simgr_test::write_bytes(folder.file("t.csv"), "a,b\n\"x\ny\",1\n\nz,2\n");
  auto table = CsvReader::open(folder.file("t.csv")).value_or_raise();
  CHECK(table.column("b").value_or_raise() == 1);
  CHECK(std::string(table.column("c").error().what()).find("the header has: a b") !=
        std::string::npos);
  REQUIRE(table.next());
  CHECK(table[0] == "x\ny");
  CHECK(table.where().line == 2);
  REQUIRE(table.next());
  CHECK(table[0] == "z");
  CHECK(table.where().line == 5);
  CHECK_FALSE(table.next());
}
