// SPDX-License-Identifier: Apache-2.0
// Training that begins with the weights of a model file, on the command line.
#include <cli/program.hpp>

#include <doctest/doctest.h>

TEST_CASE("fit begins with the weights of a file, says so, and goes on from no other beginning") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), first = folder.file("first.simgr"),
                    second = folder.file("second.simgr");
  simgr_test::write_data_folder(data);
  const auto fit = [&](const std::string& model, const std::string& out,
                       const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"fit", model,       "--data", data,       "--out",
                                          out,   "--threads", "1",      "--epochs", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return simgr_test::run_simgr(folder, arguments);
  };
  const auto refused = [&](const simgr_test::Run& run, int code, const std::string& part) {
    INFO(run.err);
    CHECK(run.code == code);
    CHECK(run.err.find(part) != std::string::npos);
  };
  REQUIRE(fit("sasrec", first, {"--set", "encoder.width=8"}).code == 0);

  // A rate of almost nothing leaves the weights where they are.
  const auto begun = fit("sasrec", second,
                         {"--set", "encoder.width=8", "--set", "optimizer.rate=1e-30", "--set",
                          "encoder.dropout=0", "--warm-start", first});
  INFO(begun.err);
  REQUIRE(begun.code == 0);
  CHECK(begun.err.find("begins with the weights of " + first +
                       ", where encoder.dropout was 0.5, is 0") != std::string::npos);
  const auto metrics = [&](const std::string& file) {
    const auto run = simgr_test::run_simgr(folder, {"evaluate", file, "--data", data});
    REQUIRE(run.code == 0);
    return run.out.substr(0, run.out.find("ties"));  // without the seconds
  };
  CHECK(metrics(second) == metrics(first));
  const auto inspected = simgr_test::run_simgr(folder, {"inspect", second});
  CHECK(inspected.out.find("warm_start = first.simgr") != std::string::npos);

  refused(fit("sasrec", second,
              {"--set", "encoder.width=8", "--set", "optimizer.rate=1e-30", "--set",
               "encoder.dropout=0", "--resume"}),
          1, "warm_start was first.simgr, is ");
  refused(fit("sasrec", folder.file("wide.simgr"),
              {"--set", "encoder.width=16", "--warm-start", first}),
          1, "expected [30, 16], file has [30, 8]");
  refused(fit("item-knn", folder.file("knn.simgr"), {"--warm-start", first}), 2,
          "item-knn does not begin with given weights");
  refused(fit("lightgcn", folder.file("gcn.simgr"), {"--warm-start", first}), 2,
          "lightgcn does not begin with given weights");
  refused(fit("sasrec", folder.file("none.simgr"), {"--warm-start", folder.file("gone.simgr")}), 1,
          "gone.simgr");
}
