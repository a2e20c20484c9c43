// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/term_ids.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/io/semantic_ids.hpp>

using simgr::Index;
using simgr_test::TemporaryFolder;

namespace {

std::string put_terms(const TemporaryFolder& folder, const std::string& bytes) {
  simgr_test::write_bytes(folder.file("terms.json"), bytes);
  return folder.file("terms.json");
}

const std::string three_of_terms =
    R"({"1": ["hair", "red", "2"], "0": ["nails", "red", "1"], "2": ["nails", "red", "1"]})";

}  // namespace

TEST_CASE("terms are codes of their digit by first appearance, and items may share all of them") {
  const TemporaryFolder folder;
  for (const std::string& bytes : {three_of_terms, simgr_test::gzip(three_of_terms)}) {
    const simgr::data::TermIds made = simgr::data::read_term_ids(put_terms(folder, bytes));
    CHECK(made.ids.items() == 3);
    CHECK(made.ids.codes.values == std::vector<std::int32_t>{0, 0, 0, 1, 0, 1, 0, 0, 0});
    CHECK(made.ids.codes_per_digit == std::vector<Index>{2, 1, 2});
    CHECK(made.terms ==
          std::vector<std::vector<std::string>>{{"nails", "hair"}, {"red"}, {"1", "2"}});
  }
  // The same word is another code on another digit.
  const auto twice =
      simgr::data::read_term_ids(put_terms(folder, R"({"0":["a","b"],"1":["b","a"]})"));
  CHECK(twice.ids.codes.values == std::vector<std::int32_t>{0, 0, 1, 1});
  CHECK(twice.terms == std::vector<std::vector<std::string>>{{"a", "b"}, {"b", "a"}});
}

TEST_CASE("ids are read from terms as from an index") {
  const TemporaryFolder folder;
  CHECK(simgr::io::read_semantic_ids(put_terms(folder, three_of_terms)).codes.values ==
        simgr::data::read_term_ids(put_terms(folder, three_of_terms)).ids.codes.values);
  CHECK(simgr::io::read_semantic_ids(put_terms(folder, R"({"0":["<a_3>","<b_1>"]})"))
            .codes_per_digit == std::vector<Index>{4, 2});
  for (const char* broken : {R"({"0":["<b_1>"]})", R"({"0":[7]})", R"({"0":[]})", R"({"0":"a"})"}) {
    CAPTURE(broken);
    CHECK_FALSE(simgr::io::try_read_semantic_ids(put_terms(folder, broken)).ok());
  }
}

TEST_CASE("broken files of terms are refused with file and byte") {
  const TemporaryFolder folder;
  const std::string longest(4096, 'x');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "not valid JSON"},
      {"{}", "expected an object with members"},
      {R"({"1":["a"]})", "expected item ids 0 to 0"},
      {R"({"0":["a"],"2":["b"]})", "expected item ids 0 to 1"},
      {R"({"0":["a"],"0":["b"]})", "stands twice"},
      {R"({"0":[]})", "at byte 6: \"0\": expected a list of 1 to 26 terms"},
      {R"({"0":"a"})", "expected a list of 1 to 26 terms"},
      {R"({"0":["a","b"],"1":["a"]})", "\"1\": expected 2 terms as item 0 has, found 1"},
      {R"({"0":["a",7]})", "term 2: expected a text of 1 to 4096 bytes"},
      {R"({"0":["a",""]})", "term 2: expected a text of 1 to 4096 bytes"},
      {R"({"0":["a",")" + longest + R"(x"]})", "term 2: expected a text of 1 to 4096 bytes"},
  };
  for (const auto& [bytes, part] : cases) {
    CAPTURE(bytes);
    const auto read = simgr::data::try_read_term_ids(put_terms(folder, bytes));
    REQUIRE_FALSE(read.ok());
    const std::string found = read.error().what();
    CHECK_MESSAGE(found.find(part) != std::string::npos, found);
    CHECK(found.find("terms.json") != std::string::npos);
  }
  CHECK(simgr::data::try_read_term_ids(put_terms(folder, R"({"0":[")" + longest + R"("]})")).ok());
  for (std::size_t cut = 0; cut < three_of_terms.size(); ++cut) {
    CHECK_FALSE(
        simgr::data::try_read_term_ids(put_terms(folder, three_of_terms.substr(0, cut))).ok());
  }
}
