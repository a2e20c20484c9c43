// SPDX-License-Identifier: Apache-2.0
// The weights of a model file under another way to make lists, on the command line.
#include <cli/program.hpp>

#include <regex>
#include <string>
#include <vector>

#include <doctest/doctest.h>

TEST_CASE("evaluate makes the lists of a file as another model of the same weights does") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("rpg.simgr");
  simgr_test::write_data_folder(data);
  const auto fitted = simgr_test::run_simgr(
      folder, {"fit", "rpg", "--data", data, "--out", file, "--threads", "1", "--epochs", "2",
               "--set", "encoder.width=8", "--set", "encoder.inner=16"});
  INFO(fitted.err);
  REQUIRE(fitted.code == 0);
  const auto evaluated = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"evaluate", file, "--data", data, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return simgr_test::run_simgr(folder, arguments);
  };
  const auto metrics = [](const simgr_test::Run& run) {  // hr@1 and what follows, but the seconds
    const std::size_t begin = run.out.find("\"hr@1\"");
    return run.out.substr(begin, run.out.find("\"seconds\"") - begin);
  };
  const auto all = evaluated({}),
             walked = evaluated({"--as", "rpg-graph", "--set", "ranker.neighbours=1", "--set",
                                 "ranker.beam=1", "--set", "ranker.rounds=1"}),
             widely = evaluated({"--as", "rpg-graph", "--set", "ranker.neighbours=29", "--set",
                                 "ranker.beam=30", "--set", "ranker.rounds=2"});
  INFO(walked.err, widely.err);
  REQUIRE(all.code == 0);
  REQUIRE(walked.code == 0);
  REQUIRE(widely.code == 0);
  CHECK(all.out.find("\"model\":\"rpg\"") != std::string::npos);
  CHECK(walked.out.find("\"model\":\"rpg-graph\"") != std::string::npos);
  CHECK(metrics(walked) != metrics(all));
  // Who sees every item scores every item; but a walk gives no scores of what it did not list.
  CHECK(metrics(widely) ==
        std::regex_replace(metrics(all), std::regex("\"mrr\":[0-9.e-]*"), "\"mrr\":null"));

  const auto refused = evaluated({"--as", "sasrec"});
  CHECK(refused.code == 2);
  INFO(refused.err);
  CHECK(refused.err.find("serve as rpg rpg-graph") != std::string::npos);
}
