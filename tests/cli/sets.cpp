// SPDX-License-Identifier: Apache-2.0
// A model whose items are sets of vectors: what is particular to it on the command line.
#include <cli/program.hpp>

#include <filesystem>

#include <doctest/doctest.h>

using simgr_test::run_simgr;

TEST_CASE("setrec is fitted from texts, serves without them, and takes another beta") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("setrec.simgr");
  simgr_test::write_data_folder(data);
  const auto fitted = run_simgr(folder, {"fit",       "setrec",
                                         "--data",    data,
                                         "--out",     file,
                                         "--epochs",  "2",
                                         "--threads", "2",
                                         "--set",     "encoder.width=8",
                                         "--set",     "encoder.layers=1",
                                         "--set",     "encoder.decoder_layers=1",
                                         "--set",     "encoder.heads=2",
                                         "--set",     "encoder.head_width=4",
                                         "--set",     "encoder.inner=16",
                                         "--set",     "encoder.embedding.hidden=16",
                                         "--set",     "candidates.beta=0.25"});
  INFO(fitted.err);
  REQUIRE(fitted.code == 0);
  CHECK(fitted.err.find("text vectors: TF-IDF of the item texts") != std::string::npos);

  const auto ndcg = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"evaluate", file,      "--data",
                                          data,       "--split", "validation"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto evaluated = run_simgr(folder, arguments);
    INFO(evaluated.err);
    REQUIRE(evaluated.code == 0);
    return evaluated.out.substr(0, evaluated.out.find("ties"));  // without the seconds
  };
  const auto as_saved = ndcg({});
  CHECK(ndcg({"--set", "candidates.beta=0.25"}) == as_saved);
  CHECK(ndcg({"--set", "candidates.beta=0"}) != ndcg({"--set", "candidates.beta=1"}));
  const auto fails = [&](const std::string& setting, const std::string& part) {
    const auto evaluated = run_simgr(folder, {"evaluate", file, "--data", data, "--set", setting});
    CHECK(evaluated.code == 2);
    INFO(evaluated.err);
    CHECK(evaluated.err.find(part) != std::string::npos);
  };
  fails("encoder.heads=4", "encoder.heads: training has settled it");
  fails("candidates.beta=2", "candidates.beta");
  fails("candidates.gamma=1", "candidates.gamma");
  fails("candidates.beta", "expected name=value");

  std::filesystem::remove_all(data);
  const auto listed = run_simgr(folder, {"recommend", file, "--history", "3 K17 9", "--k", "5"});
  INFO(listed.err);
  CHECK(listed.code == 0);
  const auto inspected = run_simgr(folder, {"inspect", file});
  REQUIRE(inspected.code == 0);
  CHECK(inspected.out.find("setrec") != std::string::npos);
  CHECK(inspected.out.find("text vectors of width") != std::string::npos);
}
