// SPDX-License-Identifier: Apache-2.0
// The command line tool from data to recommendations, as a user calls it.
#include <cli/program.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include <doctest/doctest.h>

#include <simgr/data/json.hpp>

namespace {

using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;

const std::vector<std::string> small = {
    "--set", "encoder.width=8",      "--set",     "encoder.layers=1",
    "--set", "encoder.max_length=8", "--threads", "2"};

std::vector<std::string> fit_arguments(const std::string& model, const std::string& data,
                                       const std::string& out, const std::string& epochs,
                                       std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"fit",   model, "--data",   data,
                                        "--out", out,   "--epochs", epochs};
  arguments.insert(arguments.end(), small.begin(), small.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_CASE("fit, evaluate, recommend and inspect: the whole chain for models of every kind") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  for (const std::string model : {"popularity", "sasrec", "simgr"}) {
    CAPTURE(model);
    const std::string file = folder.file(model + ".simgr"), log = folder.file(model + ".jsonl");
    auto arguments = fit_arguments(model, data, file, "3", {"--log", log});
    if (model == "popularity") {
      arguments = {"fit",   model, "--data", data, "--out",    file,
                   "--log", log,   "--seed", "1",  "--epochs", "3"};
    }
    const auto fitted = run_simgr(folder, arguments);
    INFO(fitted.err);
    REQUIRE(fitted.code == 0);

    const auto evaluated = run_simgr(folder, {"evaluate", file, "--data", data, "--json"});
    REQUIRE(evaluated.code == 0);
    CHECK(std::count(evaluated.out.begin(), evaluated.out.end(), '\n') == 1);
    const auto line = simgr::data::parse_json(evaluated.out.substr(0, evaluated.out.size() - 1));
    std::string keys;
    for (const auto& member : *line.as_object()) { keys += member.key + " "; }
    CHECK(keys == "model users items hr@1 hr@5 hr@10 hr@20 ndcg@5 ndcg@10 ndcg@20 mrr coverage@10 "
                  "entropy@10 entropy_normalised@10 gini@10 ties seconds ");
    CHECK(*line.find("model")->as_text() == model);
    CHECK(*line.find("users")->as_integer() == 60);
    CHECK(*line.find("items")->as_integer() == 30);
    CHECK(*line.find("hr@20")->as_number() >= *line.find("hr@10")->as_number());
    CHECK(*line.find("hr@20")->as_number() <= 1);

    const auto epoch = simgr::data::parse_json(
        simgr_test::read_bytes(log).substr(0, simgr_test::read_bytes(log).find('\n')));
    for (const char* key :
         {"epoch", "loss", "seconds", "tokens_per_second", "validation_ndcg@10"}) {
      CAPTURE(key);
      CHECK(epoch.find(key) != nullptr);
    }

    const auto listed =
        run_simgr(folder, {"recommend", file, "--history", "3 K17 9 3", "--k", "99", "--json"});
    REQUIRE(listed.code == 0);
    const auto answer = simgr::data::parse_json(listed.out.substr(0, listed.out.size() - 1));
    CHECK(*answer.find("seen")->as_text() == "remove");
    CHECK(answer.find("items")->as_array()->size() == 27);  // all but 3, 17 and 9
    CHECK(listed.err.find("--k: 27 of the 99 asked") != std::string::npos);
    const auto& best = answer.find("items")->as_array()->front();
    CHECK(*best.find("key")->as_text() == "K" + std::to_string(*best.find("item")->as_integer()));

    const auto popular = run_simgr(folder, {"recommend", file, "--history", "", "--k", "2"});
    CHECK(popular.code == 0);
    CHECK(popular.out.find("seen items removed; no history: the most popular items") !=
          std::string::npos);

    const auto inspected = run_simgr(folder, {"inspect", file});
    CHECK(inspected.code == 0);
    CHECK(inspected.out.find("resident memory: ") != std::string::npos);
    CHECK(inspected.out.find("catalogue: 30 items, keys") != std::string::npos);
  }
}

TEST_CASE("liger reads the texts of a folder, and serves without it") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("liger.simgr");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, {"tokenize", "--data", data, "--method", "random", "--levels", "2",
                             "--codes", "6", "--out", folder.file("ids.tsv")})
              .code == 0);
  const std::vector<std::string> more = {
      "--ids", folder.file("ids.tsv"),       "--set", "encoder.decoder_layers=1",
      "--set", "encoder.head_width=4",       "--set", "encoder.inner=16",
      "--set", "encoder.embedding.dropout=0"};
  const auto fitted = run_simgr(folder, fit_arguments("liger", data, file, "1", more));
  INFO(fitted.err);
  REQUIRE(fitted.code == 0);
  CHECK(fitted.err.find("text vectors: TF-IDF of the item texts") != std::string::npos);
  CHECK(run_simgr(folder, {"evaluate", file, "--data", data, "--json"}).code == 0);
  const auto inspected = run_simgr(folder, {"inspect", file});
  CHECK(inspected.out.find("text vectors of width ") != std::string::npos);
  CHECK(inspected.out.find("simgr.ranker = HybridBeam") != std::string::npos);

  std::filesystem::remove(data + "/items.jsonl");
  const auto listed = run_simgr(folder, {"recommend", file, "--history", "3 17 9", "--k", "5"});
  CHECK(listed.code == 0);
  const auto untold = run_simgr(folder, fit_arguments("liger", data, file, "1", more));
  CHECK(untold.code == 1);
  CHECK(untold.err.find("give --text-vectors FILE") != std::string::npos);
}

TEST_CASE("import makes a data folder from a table, and recommend speaks its names") {
  const TemporaryFolder folder;
  const std::string table = folder.file("purchases.csv"), shop = folder.file("shop");
  std::string rows = "when,customer,product\n";
  for (int user = 0; user < 20; ++user) {
    for (int i = 3; i >= 0; --i) {  // the latest row first: time decides
      rows += std::to_string(100 * user + i) + ",anna " + std::to_string(user) + ",tea " +
              std::to_string((user + i) % 6) + "\n";
    }
  }
  simgr_test::write_bytes(table, rows);
  const std::vector<std::string> import = {"import",  table,    "--user", "customer", "--item",
                                           "product", "--time", "when",   "--out",    shop};
  const auto made = run_simgr(folder, import);
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(made.out.starts_with("20 users, 6 items, 80 interactions, sorted by time\n"));
  const std::string sequences = simgr_test::read_bytes(shop + "/sequences.tsv");
  CHECK(sequences.starts_with("user\titems\ttimes\n0\t3 2 1 0\t0 1 2 3\n"));
  const std::string file = folder.file("m");
  REQUIRE(run_simgr(folder, {"fit", "popularity", "--data", shop, "--out", file}).code == 0);
  const auto listed = run_simgr(folder, {"recommend", file, "--history", "tea 3, tea 4"});
  CHECK(listed.code == 0);
  CHECK(listed.out.find("\ttea 5\t") != std::string::npos);
  CHECK(listed.out.find("\ttea 3\t") == std::string::npos);
  const auto again = run_simgr(folder, import);
  CHECK(again.code == 1);
  CHECK(again.err.find("sequences.tsv: this is there already; it is not replaced") !=
        std::string::npos);
  auto other = import;
  other[3] = "client";
  other.back() = folder.file("other");
  const auto wrong = run_simgr(folder, other);
  CHECK(wrong.code == 1);
  CHECK(wrong.err.find("there is no column \"client\"; the header has: when customer product") !=
        std::string::npos);
  CHECK_FALSE(std::filesystem::exists(other.back()));
}

TEST_CASE("evaluate says so when the data are other than those of the fit") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, {"fit", "popularity", "--data", data, "--out", file}).code == 0);
  const std::vector<std::string> evaluate = {"evaluate", file, "--data", data, "--json"};
  const auto same = run_simgr(folder, evaluate);
  CHECK(same.err.empty());
  std::string sequences = simgr_test::read_bytes(data + "/sequences.tsv");
  simgr_test::write_bytes(data + "/sequences.tsv", sequences + "60\t1 2 3 4\n");
  const auto other = run_simgr(folder, evaluate);
  CHECK(other.code == 0);
  CHECK(std::count(other.out.begin(), other.out.end(), '\n') == 1);
  CHECK(other.err.starts_with("warning: these are not the data that the model was fitted on"));
  // Another number of items is an error.
  std::string items = simgr_test::read_bytes(data + "/items.jsonl");
  simgr_test::write_bytes(data + "/items.jsonl", items + "{\"id\":30,\"title\":\"new\"}\n");
  const auto more = run_simgr(folder, evaluate);
  CHECK(more.code == 1);
  CHECK(more.err.find("expected the 30 items of the model, found 31") != std::string::npos);
}

TEST_CASE("items are named by key: with blanks in them, as numbers, and against ids") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m");
  simgr_test::write_data_folder(data);
  std::string items;
  for (int item = 0; item < 30; ++item) {
    items += "{\"id\":" + std::to_string(item) + ",\"asin\":\"" +
             (item % 2 == 0 ? "green tea " + std::to_string(item) : std::to_string(item - 1)) +
             "\",\"title\":\"x\"}\n";
  }
  simgr_test::write_bytes(data + "/items.jsonl", items);
  REQUIRE(run_simgr(folder, {"fit", "popularity", "--data", data, "--out", file}).code == 0);
  const auto left = [&](const std::vector<std::string>& more) {  // what --allow leaves
    std::vector<std::string> arguments = {"recommend", file,     "--history", "",
                                          "--seen",    "remove", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = run_simgr(folder, arguments);
    CAPTURE(run.err);
    REQUIRE(run.code == 0);
    std::vector<std::int64_t> ids;
    const auto answer = simgr::data::parse_json(run.out.substr(0, run.out.size() - 1));
    for (const auto& place : *answer.find("items")->as_array()) {
      ids.push_back(*place.find("item")->as_integer());
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  using Ids = std::vector<std::int64_t>;
  CHECK(left({"--allow", "green tea 4, 17  9"}) == Ids{4, 9, 17});
  CHECK(left({"--allow", "green tea 4"}) == Ids{4});
  CHECK(left({"--allow", " "}) == Ids{});  // nothing is allowed, and not everything
  CHECK(left({"--allow", "12,14", "--keys"}) == Ids{13, 15});
  CHECK(left({"--allow", "12,14", "--deny", "14"}) == Ids{12});
  const auto noted = run_simgr(folder, {"recommend", file, "--history", "12"});
  CHECK(noted.code == 0);
  CHECK(noted.err.find("12 is the id of one item and the key of another") != std::string::npos);

  items.replace(items.find("green tea 2"), 11, "green tea 0");  // two of one key
  simgr_test::write_bytes(data + "/items.jsonl", items);
  const auto fitted = run_simgr(folder, {"fit", "popularity", "--data", data, "--out", file});
  CHECK(fitted.code == 0);
  CHECK(
      fitted.err.find("keys are not kept, since not every item has one of its own: 29 of them for "
                      "30 items") != std::string::npos);
}

TEST_CASE("settings lists what --set takes, and enumerations are set by their words") {
  const TemporaryFolder folder;
  const auto run = run_simgr(folder, {"settings", "simgr"});
  CHECK(run.code == 0);
  for (const char* part :
       {"encoder.width", "1 to 65536", "width of the model", "schedule.kind", "cosine_restarts",
        "true or false", "optimizer.rate", "similarity.temperature"}) {
    CAPTURE(part);
    CHECK(run.out.find(part) != std::string::npos);
  }
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  const auto fitted = run_simgr(
      folder, fit_arguments("sasrec", data, folder.file("m"), "1",
                            {"--set", "schedule.kind=linear", "--set", "optimizer.kind=adagrad"}));
  INFO(fitted.err);
  REQUIRE(fitted.code == 0);
  const auto inspected = run_simgr(folder, {"inspect", folder.file("m")});
  CHECK(inspected.out.find("fit.schedule.kind = linear") != std::string::npos);
  CHECK(inspected.out.find("fit.optimizer.kind = adagrad") != std::string::npos);
}

TEST_CASE("tokenize writes ids that fit takes") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  const auto made = run_simgr(folder, {"tokenize", "--data", data, "--levels", "2", "--codes", "4",
                                       "--out", folder.file("ids.tsv")});
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(made.out.starts_with("30 items, "));  // before the digit that tells equal ids apart
  CHECK_FALSE(made.out.starts_with("30 items, 30 distinct ids"));
  CHECK(made.out.find("with one digit more: 30 items, 30 distinct ids") != std::string::npos);
  const auto fitted = run_simgr(folder, fit_arguments("simgr-mean", data, folder.file("m"), "1",
                                                      {"--ids", folder.file("ids.tsv")}));
  INFO(fitted.err);
  CHECK(fitted.code == 0);
}

TEST_CASE("tokenize makes ids by every method, writes an index and reads it back") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), index = folder.file("x.index.json"),
                    ids = folder.file("ids.tsv");
  simgr_test::write_data_folder(data);
  const auto tokenized = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"tokenize", "--data", data};
    words.insert(words.end(), more.begin(), more.end());
    return run_simgr(folder, words);
  };
  const auto made =
      tokenized({"--method", "residual-kmeans", "--levels", "2", "--codes", "4", "--collision",
                 "digit-if-shared", "--fit-on", "training", "--json", "--out", index});
  INFO(made.err);
  REQUIRE(made.code == 0);
  for (const char* part : {"\"method\":\"residual-kmeans\"", "\"fit_on\":\"training\"",
                           "\"before\":{", "\"collision_rate\":", "\"neighbours\":{"}) {
    CAPTURE(part);
    CHECK(made.out.find(part) != std::string::npos);
  }
  const auto copied = tokenized({"--ids", index, "--out", ids});
  INFO(copied.err);
  CHECK(copied.code == 0);
  CHECK(copied.out.starts_with("30 items, 30 distinct ids"));
  CHECK(tokenized({"--ids", ids, "--out", folder.file("again.json")}).code == 0);
  CHECK(simgr_test::read_bytes(folder.file("again.json")) == simgr_test::read_bytes(index));
  CHECK(tokenized({"--ids", index, "--out", index}).code == 1);  // perhaps somebody's own

  int which = 0;
  for (const std::vector<std::string>& method : std::vector<std::vector<std::string>>{
           {"opq", "--digits", "2", "--codes", "4", "--whiten", "6"},
           {"balanced", "--levels", "2", "--codes", "6", "--collision", "nearest-free"},
           {"hierarchical", "--levels", "3", "--codes", "4", "--collision", "sinkhorn"},
           {"rq-vae", "--codes", "4", "--set", "hidden=8", "--set", "layers=1", "--set",
            "epochs=3"},
           {"letter", "--codes", "4", "--set", "hidden=8", "--set", "latent=4", "--set", "epochs=3",
            "--fit-on", "training"},
           {"plum", "--codes", "8", "--set", "hidden=8", "--set", "latent=4", "--set", "epochs=3",
            "--set", "pairs=8", "--fit-on", "training"},
           {"random", "--levels", "2"},
           {"atomic"}}) {
    std::vector<std::string> words = {"--out", folder.file(std::to_string(which++)), "--method"};
    words.insert(words.end(), method.begin(), method.end());
    const auto run = tokenized(words);
    INFO(method[0], ": ", run.err);
    CHECK(run.code == 0);
    CHECK(run.out.starts_with("30 items, "));
  }

  simgr_test::write_bytes(folder.file("few.json"), R"({"0":["<a_1>"],"1":["<a_2>"]})");
  const auto few = tokenized({"--ids", folder.file("few.json"), "--out", ids});
  CHECK(few.code == 1);
  CHECK(few.err.find("expected ids of 30 items, found 2") != std::string::npos);
  const auto wrong = tokenized({"--set", "colision=keep", "--out", ids});
  CHECK(wrong.code == 2);
  CHECK(wrong.err.find("near names: collision") != std::string::npos);
  CHECK(tokenized({"--method", "random", "--collision", "sinkhorn", "--out", ids}).code == 2);
  const auto long_ids = tokenized({"--method", "opq", "--out", folder.file("opq.json")});
  CHECK(long_ids.code == 2);
  CHECK(long_ids.err.find("at most 26 digits") != std::string::npos);
}

TEST_CASE("ids of LETTER and PLUM know what is bought together, of the training part alone") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), later = folder.file("later"),
                    earlier = folder.file("earlier");
  for (const std::string& path : {data, later, earlier}) { simgr_test::write_data_folder(path); }
  // Every user's last two items are another, or the first is.
  const std::string sequences = simgr_test::read_bytes(data + "/sequences.tsv");
  const auto changed = [&](const std::string& path, bool first) {
    std::istringstream lines(sequences);
    std::string line, text;
    for (int number = 0; std::getline(lines, line); ++number) {
      if (number > 0) {
        const std::size_t tab = line.find('\t'), last = line.rfind(' ', line.rfind(' ') - 1);
        line = first ? line.substr(0, tab + 1) + "29" + line.substr(line.find(' '))
                     : line.substr(0, last) + " " + std::to_string(number % 7) + " 11";
      }
      text += line + "\n";
    }
    simgr_test::write_bytes(path + "/sequences.tsv", text);
  };
  changed(later, false);
  changed(earlier, true);
  const auto ids_of = [&](const std::string& from, const std::string& out,
                          const std::vector<std::string>& more) {
    std::vector<std::string> words = {"tokenize",        "--data",  from,        "--method",
                                      "letter",          "--codes", "4",         "--set",
                                      "hidden=8",        "--set",   "layers=1",  "--set",
                                      "latent=4",        "--set",   "epochs=20", "--set",
                                      "collaborative=2", "--out",   out};
    words.insert(words.end(), more.begin(), more.end());
    const auto run = run_simgr(folder, words);
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK(run.out.find("by collaborative vectors, digits that 30 items share") !=
          std::string::npos);
    return simgr_test::read_bytes(out);
  };
  const std::string ids = ids_of(data, folder.file("a"), {});
  CHECK(ids == ids_of(later, folder.file("b"), {}));
  CHECK(ids != ids_of(earlier, folder.file("c"), {}));
  const std::string sasrec = folder.file("a.sasrec");
  CHECK(ids == ids_of(data, folder.file("d"), {"--collaborative-vectors", sasrec}));
  CHECK(std::filesystem::exists(sasrec));
  CHECK_FALSE(std::filesystem::exists(sasrec + ".state"));
  CHECK_FALSE(std::filesystem::exists(folder.file("d.sasrec")));
  const auto inspected = run_simgr(folder, {"inspect", sasrec});
  CHECK(inspected.out.find("[30, 4]") != std::string::npos);

  const auto plum_of = [&](const std::string& from, const std::vector<std::string>& more) {
    const std::string out = folder.file("plum");
    std::filesystem::remove(out);
    std::vector<std::string> words = {"tokenize",      "--data",  from,       "--method",
                                      "plum",          "--codes", "8",        "--set",
                                      "hidden=8",      "--set",   "latent=4", "--set",
                                      "epochs=20",     "--set",   "pairs=16", "--set",
                                      "contrastive=2", "--out",   out};
    words.insert(words.end(), more.begin(), more.end());
    const auto run = run_simgr(folder, words);
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK(run.out.find("by histories, digits that 30 items share") != std::string::npos);
    return simgr_test::read_bytes(out);
  };
  const std::string plum = plum_of(data, {});
  CHECK(plum.starts_with("item\tdigits\tcodes_per_digit=8 4 2\n"));
  CHECK(plum == plum_of(later, {}));
  CHECK(plum != plum_of(earlier, {}));
  std::string listed = "item\tneighbours\n";
  for (int item = 0; item < 30; ++item) {
    listed += std::to_string(item) + "\t" + std::to_string((item + 7) % 30) + "\n";
  }
  simgr_test::write_bytes(folder.file("near.tsv"), listed);
  const std::string given = plum_of(data, {"--collaborative-neighbours", folder.file("near.tsv")});
  CHECK(plum != given);
  CHECK(given == plum_of(earlier, {"--collaborative-neighbours", folder.file("near.tsv")}));
}

TEST_CASE("terms of items are ids for models that pool digits and for those that spell them") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), terms = folder.file("terms.json");
  simgr_test::write_data_folder(data);
  std::string text = "{";
  const char* colours[] = {"red", "green", "blue", "white", "black"};
  for (int item = 0; item < 30; ++item) {  // items 0 and 20 share theirs
    text += std::string(item > 0 ? ",\"" : "\"") + std::to_string(item) + "\":[\"" +
            (item % 5 < 2 ? "soap" : "brush") + "\",\"" + colours[item % 5] + "\",\"" +
            std::to_string(item % 4) + "\",\"" + (item % 2 == 0 ? "soft" : "hard") + "\"]";
  }
  simgr_test::write_bytes(terms, text + "}");
  const auto copied =
      run_simgr(folder, {"tokenize", "--data", data, "--ids", terms, "--out", folder.file("ids")});
  INFO(copied.err);
  REQUIRE(copied.code == 0);
  CHECK(simgr_test::read_bytes(folder.file("ids"))
            .starts_with("item\tdigits\tcodes_per_digit=2 5 4 2\n0\t0 0 0 0\n1\t0 1 1 1\n"));
  const std::string model = folder.file("m");
  for (const auto& [name, more] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"simgr", {}},
           {"rpg", {}},
           {"lc-rec", {"--set", "encoder.heads=1"}},
           {"letter",
            {"--set", "encoder.decoder_layers=1", "--set", "encoder.heads=1", "--set",
             "encoder.head_width=8", "--set", "encoder.inner=8"}}}) {
    CAPTURE(name);
    std::vector<std::string> words = fit_arguments(name, data, model, "1", {"--ids", terms});
    words.insert(words.end(), more.begin(), more.end());
    const auto fitted = run_simgr(folder, words);
    INFO(fitted.err);
    REQUIRE(fitted.code == 0);
    const auto list = run_simgr(folder, {"recommend", model, "--history", "1 2 3"});
    INFO(list.err);
    CHECK(list.code == 0);
    CHECK(run_simgr(folder, {"inspect", model}).out.find("2 5 4 2 codes") != std::string::npos);
  }
}

TEST_CASE("a model of two names is opened by the one it was fitted as") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), model = folder.file("letter.simgr");
  simgr_test::write_data_folder(data);
  const auto fitted = run_simgr(
      folder, fit_arguments("letter", data, model, "2",
                            {"--set", "encoder.decoder_layers=1", "--set", "encoder.heads=1",
                             "--set", "encoder.head_width=8", "--set", "encoder.inner=8"}));
  INFO(fitted.err);
  REQUIRE(fitted.code == 0);
  CHECK(fitted.out.starts_with("letter: 2 epochs"));
  CHECK(run_simgr(folder, {"evaluate", model, "--data", data, "--json"})
            .out.starts_with("{\"model\":\"letter\""));
  CHECK(run_simgr(folder, {"inspect", model}).out.find("loss.temperature = 0.7") !=
        std::string::npos);
  CHECK(run_simgr(folder, {"recommend", model, "--history", "1 2 3"}).code == 0);
  const auto analysed =
      run_simgr(folder, {"analyse", "decoding", "--model", model, "--data", data, "--users", "5"});
  INFO(analysed.err);
  CHECK(analysed.code == 0);
  CHECK(run_simgr(folder, {"settings", "letter"}).out.find("loss.temperature") !=
        std::string::npos);
}

TEST_CASE("a fit that is killed and resumed gives the file of the uninterrupted one") {
  for (const std::string model : {"sasrec", "lightgcn"}) {
    CAPTURE(model);
    const std::vector<std::string> own =
        model == "sasrec" ? small : std::vector<std::string>{"--set", "batch=16"};
    const auto arguments = [&](const std::string& data, const std::string& out, const char* epochs,
                               const std::vector<std::string>& more) {
      std::vector<std::string> all = {"fit",   model, "--data",   data,
                                      "--out", out,   "--epochs", epochs};
      all.insert(all.end(), own.begin(), own.end());
      all.insert(all.end(), more.begin(), more.end());
      return all;
    };
    const TemporaryFolder folder;
    const std::string data = folder.file("data");
    simgr_test::write_data_folder(data);
    const std::string whole = folder.file("whole.simgr"), cut = folder.file("cut.simgr");
    REQUIRE(run_simgr(folder, arguments(data, whole, "60", {})).code == 0);
    int killed = 0;
    for (int attempt = 0; attempt < 200; ++attempt) {
      const simgr_test::Process process(
          folder, arguments(data, cut, "60", {"--resume", "--log", folder.file("log")}));
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + 13 * (attempt % 7)));
      process.kill();
      const auto run = process.wait();
      if (run.code == 0) {
        break;
      }
      INFO(run.err);
      REQUIRE(run.code == -SIGKILL);
      ++killed;
      if (attempt >= 12) {
        REQUIRE(
            run_simgr(folder, arguments(data, cut, "60", {"--resume", "--log", folder.file("log")}))
                .code == 0);
        break;
      }
    }
    CHECK(killed > 0);
    CHECK(simgr_test::read_bytes(cut) == simgr_test::read_bytes(whole));
    const std::string log = simgr_test::read_bytes(folder.file("log"));
    CHECK(std::count(log.begin(), log.end(), '\n') == 60);
    // Another run must not go on from this state unseen.
    const auto other = run_simgr(folder, arguments(data, cut, "61", {"--resume"}));
    CHECK(other.code == 1);
    CHECK(other.err.find("epochs was 60, is 61") != std::string::npos);
  }
}

TEST_CASE("compare trains several models, prints a table and writes the report") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  std::vector<std::string> arguments = {"compare",
                                        "--data",
                                        data,
                                        "--models",
                                        "popularity,simgr-mean",
                                        "--out",
                                        folder.file("models"),
                                        "--report",
                                        folder.file("report.html"),
                                        "--epochs",
                                        "2"};
  arguments.insert(arguments.end(), small.begin(), small.end());
  for (int round = 0; round < 2; ++round) {  // the second finds its models and trains nothing
    const auto compared = run_simgr(folder, arguments);
    INFO(compared.err);
    REQUIRE(compared.code == 0);
    CHECK(compared.out.find("simgr-mean") != std::string::npos);
    CHECK(compared.out.find("users in pairs") != std::string::npos);
    CHECK((compared.err.find("epoch 2/2") == std::string::npos) == (round == 1));
  }
  const std::string page = simgr_test::read_bytes(folder.file("report.html"));
  for (const char* part : {"<svg", "simgr-mean", "NDCG@10 against ", "HR@10 against ", "p, Holm",
                           "class=\"whisker\"", "Lists by their length"}) {
    INFO(part);
    CHECK(page.find(part) != std::string::npos);
  }
  arguments.insert(arguments.end(), {"--set", "batch=17"});
  const auto other = run_simgr(folder, arguments);
  CHECK(other.code == 1);
  CHECK(
      other.err.find("simgr-mean.simgr.state: the run that was saved differs from this one: batch "
                     "was ") != std::string::npos);
  CHECK(other.err.find("is 17; give another --out, or delete this file") != std::string::npos);
}

TEST_CASE("compare measures model files as they are, beside models that it trains") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), mine = folder.file("mine.simgr");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, fit_arguments("sasrec", data, mine, "2", {})).code == 0);
  const auto tokenized = run_simgr(folder, {"tokenize", "--data", data, "--levels", "2", "--codes",
                                            "4", "--out", folder.file("two.tsv")});
  REQUIRE(tokenized.code == 0);
  const std::string other = folder.file("other.simgr");
  REQUIRE(run_simgr(folder, fit_arguments("simgr-mean", data, other, "2",
                                          {"--ids", folder.file("two.tsv")}))
              .code == 0);
  const std::string before = simgr_test::read_bytes(mine);
  const auto compare = [&](const std::string& models) {
    return run_simgr(
        folder, {"compare", "--data", data, "--models", models, "--out", folder.file("models")});
  };
  const auto compared = compare("popularity," + mine + "," + other);
  INFO(compared.err);
  REQUIRE(compared.code == 0);
  for (const char* row : {"popularity", "mine", "other", "users in pairs"}) {
    INFO(row);
    CHECK(compared.out.find(row) != std::string::npos);
  }
  CHECK(compared.err.find("epoch 2") == std::string::npos);  // neither was trained anew
  CHECK(simgr_test::read_bytes(mine) == before);
  const auto evaluated = run_simgr(folder, {"evaluate", mine, "--data", data});
  const auto figure = [](const std::string& text, const std::string& after, int column) {
    REQUIRE(text.find(after) != std::string::npos);
    std::istringstream words(text.substr(text.find(after) + after.size()));
    double value = -1;
    for (int i = 0; i < column; ++i) { words >> value; }
    return value;
  };
  CHECK(figure(compared.out, "mine ", 1) > 0);
  CHECK(figure(compared.out, "mine ", 1) == figure(evaluated.out, "HR ", 3));
  CHECK(figure(compared.out, "mine ", 2) == figure(evaluated.out, "NDCG ", 3));

  // A curve is drawn of the file's own log alone, and what else is called so hinders nobody.
  const std::string log = folder.file("mine.jsonl"), report = folder.file("models/report.html");
  const std::vector<std::string> logged = {"--log", log};
  REQUIRE(run_simgr(folder, fit_arguments("sasrec", data, mine, "2", logged)).code == 0);
  compare(mine);
  CHECK(simgr_test::read_bytes(report).find("<h2>Learning") != std::string::npos);
  CHECK(simgr_test::read_bytes(report).find("<h1>data</h1>") != std::string::npos);
  const std::string own = simgr_test::read_bytes(log);
  for (const std::string& foreign :
       {std::string("notes"), own.substr(0, own.size() / 2), "{\"epoch\":1}\n" + own.substr(0, 20),
        std::string(R"({"epoch":1,"loss":1,"validation_ndcg@10":0.75})")}) {
    simgr_test::write_bytes(log, foreign);
    CHECK(compare(mine).code == 0);
    CHECK(simgr_test::read_bytes(report).find("<h2>Learning") == std::string::npos);
  }

  const auto twice = compare(mine + "," + mine);
  CHECK(twice.code == 2);
  CHECK(twice.err.find("--models: two are called mine") != std::string::npos);
  const auto absent = compare("sasrec-bce," + folder.file("absent.simgr"));
  CHECK(absent.code == 1);
  CHECK(absent.err.find("absent.simgr") != std::string::npos);
  CHECK(absent.err.find("epoch") == std::string::npos);  // found out before the other was trained
  const auto set = run_simgr(folder, {"compare", "--data", data, "--models", mine, "--out",
                                      folder.file("models"), "--set", "encoder.width=8"});
  CHECK(set.code == 2);
  CHECK(set.err.find("--set: model files are measured as they are") != std::string::npos);
}

TEST_CASE("fit takes the item vectors of a SASRec for the models that read such") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), items = folder.file("items.simgr");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, fit_arguments("sasrec", data, items, "1", {})).code == 0);
  const auto with_items = [&](const std::string& model, const std::string& file) {
    return run_simgr(folder, {"fit", model, "--data", data, "--out", folder.file(model + ".simgr"),
                              "--epochs", "1", "--item-vectors", file, "--set", "encoder.width=16",
                              "--set", "encoder.layers=1"});
  };
  const auto taken = with_items("setrec", items);
  INFO(taken.err);
  REQUIRE(taken.code == 0);
  const auto served = run_simgr(folder, {"evaluate", folder.file("setrec.simgr"), "--data", data});
  CHECK(served.code == 0);
  const auto unread = with_items("sasrec", items);
  CHECK(unread.code == 2);
  CHECK(unread.err.find("--item-vectors: setrec and e4srec read vectors of items") !=
        std::string::npos);
  const auto no_table = with_items("setrec", folder.file("setrec.simgr"));
  CHECK(no_table.code == 1);
  CHECK(no_table.err.find("there is no table of items") != std::string::npos);
}

}  // namespace
