// SPDX-License-Identifier: Apache-2.0
// What is wrong outside ends with exit code 1 and one clear line; what is wrong with the command
// itself with 2.
#include <cli/program.hpp>

#include <algorithm>

#include <doctest/doctest.h>

namespace {

using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;
using simgr_test::write_bytes;

/// One line on standard error that holds `part`, and nothing on standard output.
void check_fails(const TemporaryFolder& folder, const std::vector<std::string>& arguments, int code,
                 const std::string& part) {
  const auto run = run_simgr(folder, arguments);
  CAPTURE((arguments.empty() ? std::string() : arguments.back()));
  CAPTURE(run.err);
  CHECK(run.code == code);
  CHECK(run.out.empty());
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK(run.err.starts_with("simgr: "));
  CHECK(run.err.find(part) != std::string::npos);
}

std::string npy(const std::string& shape, const std::string& values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(117, ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" + values;
}

TEST_CASE("bad data: exit code 1, one line with file and place") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), sequences = data + "/sequences.tsv";
  simgr_test::write_data_folder(data);
  const std::string good = simgr_test::read_bytes(sequences);
  const std::vector<std::string> fit = {"fit", "popularity", "--data",
                                        data,  "--out",      folder.file("m")};
  struct Case {
    std::string content, part;
  };
  for (const auto& [content, part] : std::vector<Case>{
           {"user\titem\n0\t1 2 3\n", "sequences.tsv:1: header: expected user<TAB>items"},
           {"user\titems\n0\t1 2 30\n", "sequences.tsv:2: items: item 30 is out of range"},
           {"user\titems\n0\t1 2 3\n1\t\n", "sequences.tsv:3: items: empty"},
           {"user\titems\n0\t1 2 3\n0\t1 2 3\n",
            "sequences.tsv:3: user: user 0 has a line already"},
           {"user\titems\n0\t1 2 x\n", "sequences.tsv:2: items: expected a number, found \"x\""},
           {"user\titems\n0\t1 2 \xff\n", "sequences.tsv:2: items: expected a number"},
           {"user\titems\n0\t1 2\n1\t3\n",
            "sequences.tsv: nobody can be evaluated: no user has three items"},
           {"\x1f\x8b\x08", "sequences.tsv"},
           {"", "sequences.tsv"},
       }) {
    write_bytes(sequences, content);
    check_fails(folder, fit, 1, part);
  }
  write_bytes(sequences, good);
  const std::string items = simgr_test::read_bytes(data + "/items.jsonl");
  write_bytes(data + "/items.jsonl", "{\"id\":0,\"title\":\"\xff\"}\n");
  check_fails(folder, fit, 1, "items.jsonl:1");
  write_bytes(data + "/items.jsonl", "{\"id\":1}\n");
  check_fails(folder, fit, 1, "items.jsonl:1: id: expected id 0");
  std::filesystem::remove(data + "/items.jsonl");
  check_fails(folder, {"fit", "simgr", "--data", data, "--out", folder.file("m")}, 1,
              "give --text-vectors FILE, or --ids FILE where a model reads ids alone");
  write_bytes(data + "/items.jsonl", items);
  std::filesystem::remove(sequences);
  check_fails(folder, fit, 1, "neither sequences.tsv nor sequences.tsv.gz");
  check_fails(folder, {"fit", "sasrec", "--data", folder.file("none"), "--out", folder.file("m")},
              1, "this is no folder");
}

TEST_CASE("bad vectors and ids: exit code 1, and nothing is allocated that is not there") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), vectors = folder.file("v.npy");
  simgr_test::write_data_folder(data);
  const std::vector<std::string> fit = {"fit",   "simgr",          "--data",         data,
                                        "--out", folder.file("m"), "--text-vectors", vectors};
  const std::string zeros(30 * 2 * 4, '\0');
  std::string not_a_number = zeros;
  not_a_number.replace(4 * 7, 4, std::string("\x00\x00\xc0\x7f", 4));
  write_bytes(vectors, npy("30, 2", not_a_number));
  check_fails(folder, fit, 1, "v.npy: row 3, column 1 is not a finite number");
  write_bytes(vectors, npy("1000000000000, 1000000000000", zeros));
  check_fails(folder, fit, 1, "v.npy");
  write_bytes(vectors, npy("29, 2", zeros));
  check_fails(folder, fit, 1, "expected shape [30, any], the file has [29, 2]");
  write_bytes(vectors, npy("30, 2", zeros.substr(1)));
  check_fails(folder, fit, 1, "v.npy");
  write_bytes(folder.file("ids"), "item\tdigits\n0\t1 2\n1\t3\n");
  const std::vector<std::string> with_ids = {
      "fit", "simgr", "--data", data, "--out", folder.file("m"), "--ids", folder.file("ids")};
  check_fails(folder, with_ids, 1, "ids:3");
  write_bytes(folder.file("ids"), "item\tdigits\n0\t1 2\n");
  check_fails(folder, with_ids, 1, "expected ids of 30 items, found 1");
  CHECK_FALSE(std::filesystem::exists(folder.file("m")));
}

TEST_CASE("bad collaborative vectors: exit code 1, before anything is fitted") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), vectors = folder.file("v.npy"),
                    out = folder.file("ids");
  simgr_test::write_data_folder(data);
  const auto tokenize = [&](const std::string& file) -> std::vector<std::string> {
    return {"tokenize",
            "--data",
            data,
            "--method",
            "letter",
            "--set",
            "latent=2",
            "--text-vectors",
            folder.file("text.npy"),
            "--out",
            out,
            "--collaborative-vectors",
            file};
  };
  const auto fails = [&](const std::string& file, const std::string& part) {
    const auto run = run_simgr(folder, tokenize(file));
    INFO(run.err);
    CHECK(run.code == 1);
    CHECK(run.err.find(part) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(out));
  };
  const std::string zeros(30 * 2 * 4, '\0');
  write_bytes(folder.file("text.npy"), npy("30, 2", zeros));
  write_bytes(vectors, npy("29, 2", zeros.substr(8)));
  fails(vectors, "v.npy: expected shape [30, 2], the file has [29, 2]");
  write_bytes(vectors, npy("30, 1", zeros.substr(120)));
  fails(vectors, "v.npy: expected shape [30, 2], the file has [30, 1]");
  std::string not_a_number = zeros;
  not_a_number.replace(4 * 7, 4, std::string("\x00\x00\xc0\x7f", 4));
  write_bytes(vectors, npy("30, 2", not_a_number));
  fails(vectors, "v.npy: row 3, column 1 is not a finite number");
  fails(folder.file("none.simgr"), "none.simgr");
  REQUIRE(
      run_simgr(folder, {"fit", "popularity", "--data", data, "--out", folder.file("m")}).code ==
      0);
  fails(folder.file("m"), "expected the model of a SASRec, or .npy");
  REQUIRE(run_simgr(folder, {"fit", "sasrec", "--data", data, "--epochs", "1", "--out",
                             folder.file("wide")})
              .code == 0);
  fails(folder.file("wide"), "expected [30, 2], file has [30, 64]");
  // Of another catalogue.
  write_bytes(data + "/sequences.tsv", "user\titems\n0\t1 2 3\n");
  std::filesystem::remove(data + "/items.jsonl");
  write_bytes(folder.file("text.npy"), npy("4, 2", zeros.substr(0, 32)));
  fails(folder.file("wide"), "expected the 30 items of the model, found 4");
  // A file of the user's where the SASRec would lie.
  write_bytes(out + ".sasrec", "thesis");
  std::vector<std::string> own = tokenize("");
  own.resize(own.size() - 2);
  check_fails(folder, own, 1, "ids.sasrec: this is there already and is no simgr model");
  CHECK(simgr_test::read_bytes(out + ".sasrec") == "thesis");
  std::filesystem::remove(out + ".sasrec");
  own.insert(own.end(), {"--set", "codebooks=moving-average"});
  const auto unfelt = run_simgr(folder, own);
  CHECK(unfelt.code == 2);
  CHECK(unfelt.err.find("moving averages follow no gradient") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out + ".sasrec"));
}

TEST_CASE("bad model files and histories: exit code 1, and the file that was there is intact") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), model = folder.file("m");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, {"fit", "popularity", "--data", data, "--out", model}).code == 0);
  const std::string whole = simgr_test::read_bytes(model);
  for (const char* history : {"30", "-1", "3 K99", "3,,banana"}) {
    check_fails(folder, {"recommend", model, "--history", history}, 1, "--history: \"");
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{9}, whole.size() / 2, whole.size() - 1}) {
    write_bytes(folder.file("cut"), whole.substr(0, size));
    check_fails(folder, {"inspect", folder.file("cut")}, 1, "cut");
  }
  check_fails(folder, {"evaluate", folder.file("none"), "--data", data}, 1, "none");
  check_fails(folder, {"inspect", data + "/sequences.tsv"}, 1, "sequences.tsv");
  // Data with items that the model does not know.
  write_bytes(data + "/sequences.tsv", "user\titems\n0\t1 2 30\n");
  std::filesystem::remove(data + "/items.jsonl");
  check_fails(folder, {"evaluate", model, "--data", data}, 1,
              "sequences.tsv:2: items: item 30 is out of range");
  check_fails(folder, {"fit", "popularity", "--data", data, "--out", folder.file("no/folder")}, 1,
              "there is no folder");
  CHECK(simgr_test::read_bytes(model) == whole);
}

TEST_CASE("usage: exit code 2, with what there is instead") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  const auto fit = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"fit", "sasrec", "--data",
                                          data,  "--out",  folder.file("m")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  check_fails(folder, {"fit", "sasrek", "--data", data, "--out", folder.file("m")}, 2,
              "no model is named \"sasrek\"; there are: popularity item-knn markov-chain one-hop "
              "lightgcn gru4rec");
  check_fails(folder, fit({"--set", "encoder.dropuot=0.1"}), 2, "encoder.dropout");
  check_fails(folder, fit({"--set", "optimizer.rate=fast"}), 2,
              "optimizer.rate: cannot read \"fast\"");
  check_fails(folder, fit({"--set", "encoder.dropout=1.5"}), 2, "encoder.dropout: expected 0 to");
  check_fails(folder, fit({"--set", "encoder.dropout"}), 2, "expected name=value");
  check_fails(folder, fit({"--epochs", "0"}), 2, "--epochs");
  std::vector<std::string> counts = fit({"--set", "clip=1"});
  counts[1] = "popularity";
  check_fails(folder, counts, 2, "popularity counts and has no settings, found clip");
  check_fails(folder,
              {"compare", "--data", data, "--models", "sasrec,popularity", "--out",
               folder.file("runs"), "--set", "encoder.dropuot=0.1"},
              2, "encoder.dropout");
  check_fails(folder,
              {"tokenize", "--data", data, "--method", "random", "--codes", "5000", "--out",
               folder.file("ids")},
              2, "--codes: 5000 codes of a digit for 30 items are out of proportion; at most 4096");
  check_fails(folder, fit({"--nonsense"}), 2, "--nonsense");
  check_fails(folder, {"fit", "sasrec"}, 2, "--data");
  check_fails(folder, {}, 2, "which command? There are: quickstart import embed tokenize fit");
  check_fails(folder, {"recomend", "m"}, 2,
              "no command is named \"recomend\"; did you mean recommend?");
  check_fails(folder, {"settings", "sasrek"}, 2, "no model is named");
  check_fails(folder, fit({"--seed", "-1"}), 2, "--seed");
  check_fails(folder, fit({"--set", "seed=-1"}), 2, "seed: cannot read \"-1\" as a value");
  check_fails(
      folder, fit({"--set", "schedule.kind=cosinus"}), 2,
      "schedule.kind: cannot read \"cosinus\" as a value; expected constant, linear, cosine");
  check_fails(folder, fit({"--set", "optimizer.kind=9"}), 2,
              "optimizer.kind: expected adamw, adam, sgd or adagrad, found 9");
  check_fails(folder, {"evaluate", "m", "--data", data, "--seen", "sometimes"}, 2, "--seen");
  const auto help = run_simgr(folder, {"fit", "--help"});
  CHECK(help.code == 0);
  CHECK(help.out.find("simgr-encoded") != std::string::npos);
}

}  // namespace
