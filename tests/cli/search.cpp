// SPDX-License-Identifier: Apache-2.0
// Searching for settings on the command line: what is found, what is left behind, what is refused.
#include <cli/program.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include <doctest/doctest.h>

#include <simgr/data/json.hpp>

namespace {

using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;

std::vector<std::string> search_arguments(const std::string& data, const std::string& out,
                                          std::vector<std::string> more) {
  std::vector<std::string> arguments = {
      "search",    "sasrec", "--data",           data,    "--out",
      out,         "--set",  "encoder.layers=1", "--set", "encoder.max_length=8",
      "--threads", "2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

const std::vector<std::string> four_trials = {
    "--trials",
    "4",
    "--epochs",
    "9",
    "--json",
    "--space",
    "rate=1e-3..1e-1:log,dropout=0..0.5,encoder.width=8|16"};

/// What does not depend on the time that a run took.
std::string without_seconds(const std::string& json) {
  std::string text;
  const auto line = simgr::data::parse_json(json.substr(0, json.size() - 1));
  const auto add = [&](const simgr::data::JsonValue& trial) {
    text += std::to_string(*trial.find("trial")->as_integer()) + " " +
            std::to_string(*trial.find("epochs")->as_integer()) + " " +
            std::to_string(trial.find("validation_ndcg@10")->as_number().value_or(-1));
    for (const auto& member : *trial.find("settings")->as_object()) {
      text += " " + member.key + "=" + *member.value.as_text();
    }
    text += "\n";
  };
  add(*line.find("best"));
  for (const auto& trial : *line.find("trials")->as_array()) { add(trial); }
  return text;
}

}  // namespace

TEST_CASE("a search that is killed again and again ends with the bits of one that was not") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), whole = folder.file("whole.simgr"),
                    cut = folder.file("cut.simgr");
  simgr_test::write_data_folder(data);
  const auto uninterrupted = run_simgr(folder, search_arguments(data, whole, four_trials));
  INFO(uninterrupted.err);
  REQUIRE(uninterrupted.code == 0);
  CHECK(std::count(uninterrupted.out.begin(), uninterrupted.out.end(), '\n') == 1);

  int killed = 0;
  simgr_test::Run last;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const simgr_test::Process process(folder, search_arguments(data, cut, four_trials));
    if (attempt < 12) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + 13 * (attempt % 7)));
      process.kill();
    }
    last = process.wait();
    if (last.code == 0) {
      break;
    }
    INFO(last.err);
    REQUIRE(last.code == -SIGKILL);
    ++killed;
    if (attempt % 3 == 1 && std::filesystem::exists(cut + ".search/journal.jsonl")) {
      // As if the kill had met the middle of a line: its state is then older than the rest.
      const std::string journal = simgr_test::read_bytes(cut + ".search/journal.jsonl");
      const auto line = journal.rfind('\n', journal.size() - 2);
      if (line != std::string::npos && journal.find("settings", line) == std::string::npos) {
        continue;
      }
      simgr_test::write_bytes(cut + ".search/journal.jsonl", journal.substr(0, journal.size() - 3));
    }
  }
  CHECK(killed > 0);
  INFO(last.err);
  REQUIRE(last.code == 0);
  CHECK(without_seconds(last.out) == without_seconds(uninterrupted.out));
  CHECK(simgr_test::read_bytes(cut) == simgr_test::read_bytes(whole));

  // Once more: all is there, nothing is trained.
  const std::string journal = simgr_test::read_bytes(cut + ".search/journal.jsonl");
  const auto again = run_simgr(folder, search_arguments(data, cut, four_trials));
  CHECK(again.code == 0);
  CHECK(without_seconds(again.out) == without_seconds(uninterrupted.out));
  CHECK(simgr_test::read_bytes(cut + ".search/journal.jsonl") == journal);

  // Of all states, that of the best is left, and without it the same model is trained again.
  std::size_t states = 0;
  for (const auto& entry : std::filesystem::directory_iterator(cut + ".search")) {
    if (entry.path().extension() == ".state") {
      ++states;
      std::filesystem::remove(entry.path());
    }
  }
  CHECK(states == 1);
  std::filesystem::remove(cut);
  CHECK(run_simgr(folder, search_arguments(data, cut, four_trials)).code == 0);
  CHECK(simgr_test::read_bytes(cut) == simgr_test::read_bytes(whole));

  const auto other = run_simgr(folder, search_arguments(data, cut, {"--trials", "4"}));
  CHECK(other.code == 1);
  CHECK(other.err.find("journal.jsonl:1: the search that was saved differs from this one: ") !=
        std::string::npos);
  CHECK(other.err.find("epochs was 9, is 40") != std::string::npos);
  CHECK(other.err.find("or delete the folder") != std::string::npos);
}

TEST_CASE("what a search found is a table, a model file with its settings, and a note in it") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m.simgr");
  simgr_test::write_data_folder(data);
  // Of three widths, seven heads divide one.
  const auto searched = run_simgr(
      folder, search_arguments(data, file,
                               {"--trials", "3", "--epochs", "2", "--method", "random", "--space",
                                "encoder.width=64|8|14", "--set", "encoder.heads=7"}));
  INFO(searched.err);
  REQUIRE(searched.code == 0);
  CHECK(searched.err.find("cannot be trained: ") != std::string::npos);
  CHECK(searched.out.starts_with("sasrec: 3 configurations, 2 epochs, "));
  CHECK(searched.out.find("failed") != std::string::npos);
  CHECK(searched.out.find("saved " + file) != std::string::npos);
  const auto inspected = run_simgr(folder, {"inspect", file});
  for (const char* part : {"search.configurations = 3", "search.epochs = 2", "width"}) {
    INFO(inspected.out);
    CHECK(inspected.out.find(part) != std::string::npos);
  }
  CHECK(run_simgr(folder, {"evaluate", file, "--data", data}).code == 0);

  const auto none =
      run_simgr(folder, search_arguments(data, folder.file("n.simgr"),
                                         {"--budget", "1h", "--space", "rate=1e-3..1e-2", "--set",
                                          "encoder.heads=7"}));
  CHECK(none.code == 1);
  CHECK(none.err.find("no configuration can be trained: ") != std::string::npos);
}

TEST_CASE("a budget ends a search in time, and a larger one goes on with it") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m.simgr");
  simgr_test::write_data_folder(data);
  const auto found = [&](const std::string& budget, const std::string& trials) {
    const auto run = run_simgr(
        folder, search_arguments(data, file,
                                 {"--budget", budget, "--trials", trials, "--epochs", "3", "--set",
                                  "encoder.width=8", "--json", "--space", "rate=1e-3..1e-1:log"}));
    INFO(run.err);
    REQUIRE(run.code == 0);
    const auto line = simgr::data::parse_json(run.out.substr(0, run.out.size() - 1));
    return std::pair(*line.find("configurations")->as_integer(), *line.find("whole")->as_boolean());
  };
  CHECK(found("0.000001s", "9") == std::pair(std::int64_t{1}, false));  // one epoch of the usual
  CHECK(found("1d", "5") == std::pair(std::int64_t{5}, true));
  CHECK(found("1d", "7") == std::pair(std::int64_t{7}, true));
}

TEST_CASE("every model takes the space that it says itself, or is not searched") {
  const TemporaryFolder folder;
  const std::string help = run_simgr(folder, {"search", "--help"}).out;
  std::istringstream lines(help.substr(help.find("\nModels:\n") + 9));
  int searched = 0;
  for (std::string line; std::getline(lines, line) && line.starts_with("  ");) {
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    const auto run = run_simgr(folder, {"search", name, "--data", folder.file("nowhere"), "--out",
                                        folder.file("m.simgr"), "--trials", "1"});
    CAPTURE(name);
    CAPTURE(run.err);
    const bool refused = run.err.find(name + " is not searched: ") != std::string::npos;
    CHECK(run.code == (refused ? 2 : 1));
    CHECK((run.err.find("nowhere") != std::string::npos) == !refused);
    searched += !refused;
  }
  CHECK(searched > 1);
}

TEST_CASE("models that are counted are searched, and a graph, whose search goes on where it was") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  const auto search = [&](const std::string& model, const std::string& out, const char* trials,
                          std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"search", model,       "--data", data,       "--out", out,
                                          "--json", "--threads", "2",      "--trials", trials};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = run_simgr(folder, arguments);
    INFO(run.err);
    REQUIRE(run.code == 0);
    return run;
  };
  const std::string counted = folder.file("knn.simgr");
  const auto found = search("item-knn", counted, "5");
  const auto line = simgr::data::parse_json(found.out.substr(0, found.out.size() - 1));
  CHECK(*line.find("configurations")->as_integer() == 5);
  CHECK(*line.find("epochs")->as_integer() == 5);
  CHECK(*line.find("whole")->as_boolean());
  const auto inspected = run_simgr(folder, {"inspect", counted});
  CHECK(inspected.out.find("search.configurations = 5") != std::string::npos);
  const auto again = search("item-knn", folder.file("again.simgr"), "5");
  CHECK(without_seconds(again.out) == without_seconds(found.out));
  CHECK(without_seconds(search("item-knn", folder.file("other.simgr"), "5", {"--seed", "2"}).out) !=
        without_seconds(found.out));

  // What is left of a graph's trials goes on, and without it the same is trained again.
  const std::string file = folder.file("graph.simgr");
  const std::vector<std::string> more = {"--epochs", "9",        "--set", "width=8",
                                         "--set",    "batch=64", "--set", "evaluate_every=1"};
  const auto one = search("lightgcn", file, "4", more);
  const std::string whole = simgr_test::read_bytes(file);
  std::filesystem::remove(file);
  CHECK(search("lightgcn", file, "4", more).out == one.out);
  CHECK(simgr_test::read_bytes(file) == whole);
  for (const auto& entry : std::filesystem::directory_iterator(file + ".search")) {
    if (entry.path().extension() == ".state") {
      std::filesystem::remove(entry.path());
    }
  }
  CHECK(search("lightgcn", file, "4", more).out == one.out);
  CHECK(simgr_test::read_bytes(file) == whole);
}

TEST_CASE("what a search cannot do is told before any work") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m.simgr");
  simgr_test::write_data_folder(data);
  const auto fails = [&](const std::vector<std::string>& more, const std::string& part) {
    const auto run = run_simgr(folder, search_arguments(data, file, more));
    CAPTURE(part);
    CAPTURE(run.err);
    CHECK(run.code == 2);
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
    CHECK(run.err.find(part) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(file + ".search"));
  };
  fails({}, "give --budget TIME, --trials N, or both");
  for (const char* budget : {"5", "s", "1h1h", "1m1h", "1e3s", "nans", "0s", "99999999999d",
                             "1h 30m", "1hm", "5 s", "1h30"}) {
    fails({"--budget", budget}, std::string("--budget ") + budget + ": expected a time such as");
  }
  fails({"--trials", "0"}, "--trials");
  fails({"--trials", "x"}, "--trials");
  fails({"--trials", "1", "--method", "grid"}, "--method");
  const auto refused = [&](const std::string& space, const std::string& part) {
    fails({"--trials", "3", "--space", space}, part);
  };
  refused("rate", "--space: \"rate\": expected name=least..most");
  refused("rat=1..2", "no setting is named so; near names: ");
  refused("encoder.width=8..64", "a range of whole numbers ends in :int");
  refused("encoder.width=0..64:int", "encoder.width: expected 1 to 65536, found 0");
  refused("dropout=0..1", "encoder.dropout: expected 0 to 0.99, found 1");
  refused("optimizer.kind=adam|adamx", "cannot read \"adamx\"");
  refused("epochs=1..9:int", "epochs is the same for all trials");
  refused("seed=1|2", "seed is the same for all trials");
  refused("encoder.layers=1|2", "--set encoder.layers: the search tries values of it");
  fails({"--trials", "3", "--set", "evaluate_every=0"}, "a search chooses by validation");
  const auto counted =
      run_simgr(folder, {"search", "popularity", "--data", data, "--out", file, "--trials", "3"});
  CHECK(counted.code == 2);
  CHECK(counted.err.find("popularity is not searched: it has no settings") != std::string::npos);

  std::filesystem::create_directories(file + ".search");
  const std::string journal = file + ".search/journal.jsonl";
  simgr_test::write_bytes(journal, "my notes\n");
  const auto kept = run_simgr(folder, search_arguments(data, file, {"--trials", "3"}));
  CHECK(kept.code == 1);
  CHECK(kept.err.find("this is no journal of a search; it is left as it is") != std::string::npos);
  CHECK(simgr_test::read_bytes(journal) == "my notes\n");
}

TEST_CASE("compare says how many settings were tried for each model, and which still rose") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), searched = folder.file("searched.simgr");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, search_arguments(data, searched,
                                             {"--trials", "2", "--method", "random", "--epochs",
                                              "3", "--set", "encoder.width=8", "--space",
                                              "rate=1e-3..1e-2:log"}))
              .code == 0);
  const std::string best = simgr_test::read_bytes(searched);
  const bool rose = best.find("\"best_epoch\":\"3\"") != std::string::npos;
  const auto compared = [&](const std::string& models) {
    const auto run = run_simgr(folder, {"compare", "--data", data, "--models", models, "--out",
                                        folder.file("out"), "--threads", "2"});
    INFO(run.err);
    REQUIRE(run.code == 0);
    return run.out;
  };
  const std::string alone = compared(searched), two = compared(searched + ",popularity");
  CHECK(alone.find(" 2 (6)\n") != std::string::npos);
  CHECK(two.find(" 1 (1)\n") != std::string::npos);
  const std::string unequal = "not for all models the same number of settings was tried";
  CHECK(alone.find(unequal) == std::string::npos);
  CHECK(two.find(unequal) != std::string::npos);
  CHECK((two.find("these are floors: searched") != std::string::npos) == rose);
  const std::string page = simgr_test::read_bytes(folder.file("out/report.html"));
  CHECK(page.find("<th>settings tried</th><th>epochs of all</th>") != std::string::npos);
  CHECK(page.find(unequal) != std::string::npos);
}
