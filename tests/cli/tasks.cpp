// SPDX-License-Identifier: Apache-2.0
// Tasks besides the next item on the command line.
#include <cli/program.hpp>

#include <doctest/doctest.h>

using simgr_test::run_simgr;

TEST_CASE(
    "fit teaches neighbours, made of the data or read, and what it saves is served as any model") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  const auto fit = [&](const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"fit",       model,
                                          "--data",    data,
                                          "--out",     folder.file(model),
                                          "--epochs",  "1",
                                          "--threads", "1",
                                          "--set",     "encoder.width=8",
                                          "--set",     "encoder.layers=1",
                                          "--set",     "encoder.heads=2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_simgr(folder, arguments);
  };
  for (const std::string model : {"lc-rec", "tiger", "simgr"}) {
    CAPTURE(model);
    const auto fitted = fit(model, {"--tasks", "collaborative=1,semantic=0.5"});
    INFO(fitted.err);
    REQUIRE(fitted.code == 0);
    CHECK(fitted.err.find("collaborative neighbours: 0 of 30 items have none") !=
          std::string::npos);
    CHECK(fitted.err.find("semantic neighbours: ") != std::string::npos);
    const auto served = run_simgr(folder, {"evaluate", folder.file(model), "--data", data});
    INFO(served.err);
    CHECK(served.code == 0);
    const auto inspected = run_simgr(folder, {"inspect", folder.file(model)});
    CHECK(inspected.out.find("training/tags") == std::string::npos);
  }
  std::string lists = "item\tneighbours\n";
  for (int item = 0; item < 30; ++item) {
    lists += std::to_string(item) + "\t" + std::to_string((item + 3) % 30) + "\n";
  }
  simgr_test::write_bytes(folder.file("n.tsv"), lists);
  const std::string file = folder.file("n.tsv");
  CHECK(fit("sasrec", {"--tasks", "collaborative", "--collaborative-neighbours", file}).code == 0);
  simgr_test::write_bytes(folder.file("n.tsv"), lists + "30\t1\n");

  const auto fails = [&](const std::string& model, const std::vector<std::string>& more, int code,
                         const std::string& part) {
    const auto run = fit(model, more);
    INFO(run.err);
    CHECK(run.code == code);
    CHECK(run.err.find(part) != std::string::npos);
  };
  fails("sasrec", {"--tasks", "collaborative", "--collaborative-neighbours", file}, 1,
        "n.tsv:32: expected the end after 30 items");
  fails("sasrec", {"--semantic-neighbours", file}, 2, "no task reads them");
  fails("sasrec", {"--tasks", "next=1"}, 2, "expected collaborative or semantic, found \"next\"");
  fails("sasrec", {"--tasks", "semantic=-1"}, 2, "expected a weight, found \"-1\"");
  fails("rpg", {"--tasks", "semantic"}, 2, "these learn more: sasrec, simgr");
}
