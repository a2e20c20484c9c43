// SPDX-License-Identifier: Apache-2.0
// What the tool says of memorization, of models and of rankings from elsewhere.
#include <cli/program.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/analysis/memorization_study.hpp>
#include <simgr/data/json.hpp>
#include <simgr/data/sequences.hpp>

namespace {

using namespace simgr;
using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;

double member(const data::JsonValue& object, const char* key) {
  const auto* value = object.find(key);
  INFO(key);
  REQUIRE(value != nullptr);
  return value->as_number().value_or(std::nan(""));
}

std::string lines_of(const data::Split& split, const Ragged<ItemId>& lists, std::size_t places) {
  std::string text;
  for (Index u = 0; u < lists.sequences(); ++u) {
    text += std::to_string(split.test.users[static_cast<std::size_t>(u)]) + "\t";
    for (std::size_t i = 0; i < std::min(places, lists[u].size()); ++i) {
      text += (i > 0 ? " " : "") + std::to_string(lists[u][i]);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("analyse memorization measures models, rankings and tables alike") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), model = folder.file("popular.simgr"),
                    same = folder.file("same.tsv"), two = folder.file("two.tsv"),
                    page = folder.file("page.html");
  simgr_test::write_data_folder(data);
  std::string sequences =
      "user\titems\n";  // of which some targets follow the input, and some do not
  for (int user = 0; user < 60; ++user) {
    sequences += std::to_string(user);
    for (int i = 0; i < 4 + user % 4; ++i) {
      sequences += (i > 0 ? ' ' : '\t') + std::to_string((user * user + i * (user % 7 + 2)) % 30);
    }
    sequences += "\n";
  }
  simgr_test::write_bytes(data + "/sequences.tsv", sequences);
  REQUIRE(run_simgr(folder, {"fit", "popularity", "--data", data, "--out", model}).code == 0);
  const auto split = data::leave_one_out(data::read_sequences(data + "/sequences.tsv"));
  analysis::MemorizationStudy study(split);
  const auto popular = study.measure(study.popular()).found;
  simgr_test::write_bytes(same, "user\titems\n" + lines_of(split, study.popular(), 5));
  simgr_test::write_bytes(two, lines_of(split, study.candidates(), 2));

  const auto analysed =
      run_simgr(folder, {"analyse", "memorization", "--data", data, "--model", model, "--rankings",
                         same, two, "--json", "--report", page, "--threads", "2"});
  INFO(analysed.err);
  REQUIRE(analysed.code == 0);
  CHECK(analysed.err.find(two + ": 60 of 60 users have fewer than 5 items") != std::string::npos);
  CHECK(analysed.out.find('\n') == analysed.out.size() - 1);
  const auto found = data::parse_json(analysed.out.substr(0, analysed.out.size() - 1));
  CHECK(member(found, "group_m") == static_cast<double>(study.group_m()));
  CHECK(member(found, "group_m_share") ==
        doctest::Approx(static_cast<double>(study.group_m()) / 60).epsilon(1e-12));
  CHECK(member(found, "mean_candidates") ==
        doctest::Approx(study.mean_candidates()).epsilon(1e-12));
  CHECK(member(found, "distinct_transitions") == static_cast<double>(study.distinct_transitions()));
  CHECK(member(found, "memgen") == static_cast<double>(study.target_labels().memorization));
  const auto& systems = *found.find("systems")->as_array();
  const auto& tables = *found.find("tables")->as_array();
  REQUIRE(systems.size() == 3);
  REQUIRE(tables.size() == 2);
  for (const auto* one : {&systems[0], &systems[1], &tables[0]}) {  // popular items, three ways
    CHECK(member(*one, "mem_ratio@5") == doctest::Approx(popular.ratio).epsilon(1e-12));
    CHECK(member(*one, "recall@5") == doctest::Approx(popular.all.recall).epsilon(1e-12));
    CHECK(member(*one, "recall@5_m") == doctest::Approx(popular.m.recall).epsilon(1e-12));
    CHECK(member(*one, "recall@5_n") == doctest::Approx(popular.n.recall).epsilon(1e-12));
  }
  CHECK(member(systems[2], "short_lists") == 60);
  CHECK(member(systems[2], "mem_ratio@5") <= 0.4);
  CHECK(member(systems[2], "recall@5_n") == 0);
  const auto* gain = systems[2].find("gain");
  REQUIRE(gain != nullptr);
  CHECK(*gain->find("over")->as_text() == "popular.simgr");
  CHECK(systems[0].find("gain") == nullptr);

  const std::string html = simgr_test::read_bytes(page);
  for (const char* part :
       {"recall@5 against memorization", "gain by group, of all users", "MemRatio@5 against hop",
        "two.tsv", "one hop", "second order symmetry"}) {
    INFO(part);
    CHECK(html.find(part) != std::string::npos);
  }

  // Without any system the groups and the tables stand alone.
  const auto alone = run_simgr(folder, {"analyse", "memorization", "--data", data, "--k", "3"});
  CHECK(alone.code == 0);
  CHECK(alone.out.find("most popular") != std::string::npos);
}

TEST_CASE("analyse memorization tells rankings that are wrong, and replaces nobody's file") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), lists = folder.file("lists.tsv");
  simgr_test::write_data_folder(data);
  const auto code_of = [&](const std::string& text, const std::string& message) {
    simgr_test::write_bytes(lists, text);
    const auto run =
        run_simgr(folder, {"analyse", "memorization", "--data", data, "--rankings", lists});
    CAPTURE(run.err);
    CHECK(run.err.find(lists + message) != std::string::npos);
    return run.code;
  };
  CHECK(code_of("0\t1 2\n60\t1\n", ":2: user: no user of the data is named \"60\"") == 1);
  CHECK(code_of("0\t1 30\n", ":1: items: item 30 is out of range: there are 30 items") == 1);
  CHECK(code_of("0\t1 1\n", ":1: items: item 1 stands twice in one list") == 1);
  CHECK(code_of("0\t1 2\n", ": expected a list for each of the 60 users") == 1);
  CHECK(run_simgr(folder, {"analyse", "memorization", "--data", data, "--report", lists}).code ==
        1);
  CHECK(simgr_test::read_bytes(lists) == "0\t1 2\n");
  CHECK(
      run_simgr(folder, {"analyse", "memorization", "--data", data, "--against", "nobody"}).code ==
      2);
  CHECK(run_simgr(folder, {"analyse", "memorization", "--data", data, "--k", "0"}).code == 2);
}
