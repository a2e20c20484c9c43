// SPDX-License-Identifier: Apache-2.0
// What the tool writes: it replaces files of its own and no others, and says at once what cannot be
// written.
#include <cli/program.hpp>

#include <doctest/doctest.h>

namespace {

using simgr_test::read_bytes;
using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;
using simgr_test::write_bytes;

/// The command is refused before it works, and the file is what it was.
void check_kept(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                const std::string& file, const char* sentence = "it is not replaced") {
  const std::string before = read_bytes(file);
  const auto run = run_simgr(folder, arguments);
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(run.out.empty());
  CHECK(run.err.find(file) != std::string::npos);
  CHECK(run.err.find(sentence) != std::string::npos);
  CHECK(read_bytes(file) == before);
}

TEST_CASE("no command replaces a file of the user's") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), thesis = folder.file("thesis.txt");
  simgr_test::write_data_folder(data);
  write_bytes(thesis, "years of work\n");
  const auto fit = [&](const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"fit", "popularity", "--data", data, "--out", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  check_kept(folder, fit(thesis), thesis);
  check_kept(folder, fit(data + "/sequences.tsv"), data + "/sequences.tsv");
  check_kept(folder, fit(folder.file("m"), {"--log", thesis}), thesis);
  write_bytes(folder.file("m.state"), "notes");
  check_kept(folder, fit(folder.file("m")), folder.file("m.state"));
  check_kept(folder, {"tokenize", "--data", data, "--out", thesis}, thesis);
  const std::vector<std::string> compare = {
      "compare", "--data", data, "--models", "popularity", "--out", folder.file("runs")};
  auto with_report = compare;
  with_report.insert(with_report.end(), {"--report", thesis});
  check_kept(folder, with_report, thesis);
  write_bytes(folder.file("runs/popularity.simgr.previous"), "my notes\n");
  check_kept(folder, compare, folder.file("runs/popularity.simgr.previous"));
  std::filesystem::remove(folder.file("runs/popularity.simgr.previous"));
  write_bytes(folder.file("runs/popularity.jsonl"), "my notes\n");
  check_kept(folder, compare, folder.file("runs/popularity.jsonl"));
  std::filesystem::create_directories(folder.file("quick"));
  simgr_test::write_data_folder(folder.file("quick/data"));
  check_kept(folder, {"quickstart", "--out", folder.file("quick")},
             folder.file("quick/data/sequences.tsv"));
  CHECK_FALSE(std::filesystem::exists(folder.file("m")));
}

TEST_CASE("files of the tool's own are replaced, damaged ones too") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), model = folder.file("m"), log = folder.file("log"),
                    ids = folder.file("ids");
  simgr_test::write_data_folder(data);
  const std::vector<std::string> fit = {"fit",   "popularity", "--data", data,
                                        "--out", model,        "--log",  log},
                                 tokenize = {"tokenize", "--data", data,    "--levels", "2",
                                             "--codes",  "4",      "--out", ids};
  for (int round = 0; round < 2; ++round) {
    CHECK(run_simgr(folder, fit).code == 0);
    CHECK(run_simgr(folder, tokenize).code == 0);
  }
  const std::string whole = read_bytes(model);
  write_bytes(model, whole.substr(0, whole.size() - 7));
  CHECK(run_simgr(folder, fit).code == 0);
  CHECK(read_bytes(model) == whole);
}

TEST_CASE("what cannot be written is told before any work") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  const auto run =
      run_simgr(folder, {"compare", "--data", data, "--models", "popularity", "--out",
                         folder.file("runs"), "--report", folder.file("nowhere/report.html")});
  CHECK(run.code == 1);
  CHECK(run.out.empty());
  CHECK(run.err.find("there is no folder") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder.file("runs/popularity.simgr")));
  const auto tokenized =
      run_simgr(folder, {"tokenize", "--data", data, "--out", folder.file("nowhere/ids.tsv")});
  CHECK(tokenized.code == 1);
  CHECK(tokenized.err.find("there is no folder") != std::string::npos);
}

TEST_CASE("a result that cannot be written to standard output is an error") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), model = folder.file("m");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, {"fit", "popularity", "--data", data, "--out", model}).code == 0);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"evaluate", model, "--data", data, "--json"},
        {"evaluate", model, "--data", data},
        {"recommend", model, "--history", "1"},
        {"inspect", model},
        {"settings", "simgr"},
        {"--help"}}) {
    CAPTURE(arguments.front());
    const auto run = simgr_test::Process(folder, arguments, "/dev/full").wait();
    CHECK(run.code == 1);
    CHECK(run.err.find("cannot write to standard output") != std::string::npos);
  }
}

}  // namespace
