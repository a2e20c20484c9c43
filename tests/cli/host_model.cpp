// SPDX-License-Identifier: Apache-2.0
// A model that a program saved, and not this tool, is opened by the tool.
#include <cli/program.hpp>

#include <algorithm>

#include <doctest/doctest.h>

#include <simgr/baselines/lc_rec.hpp>
#include <simgr/baselines/popularity.hpp>
#include <simgr/baselines/rpg.hpp>
#include <simgr/baselines/sasrec.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/ranker/exact_token_scores.hpp>
#include <simgr/tokenizer/random_ids.hpp>

namespace {

using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;

std::vector<std::string> keys_of(int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) { keys.push_back("green tea " + std::to_string(i)); }
  return keys;
}

TEST_CASE("evaluate, recommend and inspect open what model.save wrote, and name its model") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("host.simgr");
  simgr_test::write_data_folder(data);
  const auto check = [&](const std::string& name) {
    const auto evaluated = run_simgr(folder, {"evaluate", file, "--data", data, "--json"});
    CAPTURE(evaluated.err);
    CHECK(evaluated.code == 0);
    CHECK(evaluated.err.empty());  // the file does not say what it was fitted on
    CHECK(evaluated.out.starts_with("{\"model\":\"" + name + "\""));
    const auto listed =
        run_simgr(folder, {"recommend", file, "--history", "green tea 3, 4", "--k", "2"});
    CHECK(listed.code == 0);
    CHECK(listed.out.starts_with(name + ", seen items removed\n1\t"));
    CHECK(run_simgr(folder, {"inspect", file}).code == 0);
  };
  simgr::baselines::Popularity({.keys = keys_of(30)}).save(file);
  check("popularity");
  const simgr::baselines::SasRec::Config config{.encoder = {.width = 8, .layers = 1, .heads = 1}};
  simgr::baselines::SasRec({.keys = keys_of(30)}, config).save(file);
  check("sasrec");
  simgr::baselines::SasRecBce({.keys = keys_of(30)},
                              {.encoder = {.width = 8, .layers = 1, .heads = 1}})
      .save(file);
  check("sasrec-bce");
  const auto with_ids = [] {
    return simgr::Catalogue{.keys = keys_of(30),
                            .ids = simgr::tokenizer::random_ids(30, {.levels = 3, .codes = 4})};
  };
  simgr::baselines::Rpg(with_ids(), {.encoder = {.width = 8, .layers = 1, .heads = 1}}).save(file);
  check("rpg");
  simgr::baselines::RpgByGraph(with_ids(), {.encoder = {.width = 8, .layers = 1, .heads = 1}})
      .save(file);
  check("rpg-graph");  // of the same types but the ranker
  using ByAnother = simgr::with_ranker<simgr::baselines::LcRec, simgr::ranker::ExactTokenScores>;
  ByAnother(with_ids(), {.encoder = {.width = 8, .layers = 1, .heads = 1}}).save(file);
  const auto listed = run_simgr(folder, {"recommend", file, "--history", "3"});
  CHECK(listed.code == 0);
  CHECK(
      listed.err.find("saved with ExactTokenScores, which no model of its type has here; TrieBeam "
                      "makes its lists") != std::string::npos);
}

TEST_CASE("a list whose scores are no numbers is not served") {
  const TemporaryFolder folder;
  const std::string file = folder.file("m");
  simgr::baselines::SasRec model({.items = 30}, {.encoder = {.width = 8, .layers = 1, .heads = 1}});
  std::fill(model.weights().begin(), model.weights().end(), 3e38f);
  model.save(file);
  const auto run = run_simgr(folder, {"recommend", file, "--history", "3"});
  CHECK(run.code == 1);
  CHECK(run.out.empty());
  CHECK(run.err.find(file + ": the score of item 0 is no finite number") != std::string::npos);
}

TEST_CASE("a model of a type that the tool does not have is named in the message") {
  const TemporaryFolder folder;
  const std::string file = folder.file("m");
  using Other = simgr::Recommender<simgr::TransformerEncoder<simgr::ItemEmbedding, simgr::Causal>,
                                   simgr::LastPosition, simgr::InnerProduct<simgr::OwnItems>,
                                   simgr::ItemCrossEntropy<>>;
  Other({.items = 30}, {.encoder = {.width = 8, .layers = 1, .heads = 1}}).save(file);
  const auto run = run_simgr(folder, {"recommend", file, "--history", "3"});
  CHECK(run.code == 1);
  CHECK(run.err.find("of a type that this program does not have: TransformerEncoder<ItemEmbedding, "
                     "Causal, PreNorm, GeluTanh> > ") != std::string::npos);
  const auto inspected = run_simgr(folder, {"inspect", file});
  CHECK(inspected.code == 0);
  CHECK(inspected.out.find("this program does not have a model of its type") != std::string::npos);
}

}  // namespace
