// SPDX-License-Identifier: Apache-2.0
// The traditional sequential models: each fitted, opened and asked, and what is particular to S3-Rec.
#include <cli/program.hpp>

#include <filesystem>

#include <doctest/doctest.h>

using simgr_test::run_simgr;

namespace {

std::vector<std::string> fit_sequential(const std::string& model, const std::string& data,
                                        const std::string& file) {
  return {"fit",       model,
          "--data",    data,
          "--out",     file,
          "--epochs",  "2",
          "--threads", "2",
          "--set",     "batch=16",
          "--set",     "encoder.width=8",
          "--set",     "encoder.layers=1"};
}

}  // namespace

TEST_CASE("bert4rec, hstu, fdsa and s3rec are fitted, evaluated and asked") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  for (const std::string model : {"bert4rec", "hstu", "fdsa", "s3rec"}) {
    CAPTURE(model);
    const std::string file = folder.file(model + ".simgr");
    auto arguments = fit_sequential(model, data, file);
    if (model == "s3rec") {
      arguments.insert(arguments.end(), {"--set", "pretraining.epochs=1"});
    }
    const auto fitted = run_simgr(folder, arguments);
    CAPTURE(fitted.err);
    REQUIRE(fitted.code == 0);
    CHECK(run_simgr(folder, {"evaluate", file, "--data", data, "--json"})
              .out.starts_with("{\"model\":\"" + model + "\""));
    const auto listed = run_simgr(folder, {"recommend", file, "--history", "3 K17 9", "--k", "5"});
    CHECK(listed.out.starts_with(model + ", seen items removed\n1\t"));
  }
}

TEST_CASE("a search pre-trains s3rec, and leaves one model") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m.simgr");
  simgr_test::write_data_folder(data);
  const auto searched =
      run_simgr(folder, {"search", "s3rec", "--data", data, "--out", file, "--trials", "2", "--set",
                         "epochs=1", "--set", "pretraining.epochs=1"});
  CAPTURE(searched.err);
  CHECK(searched.code == 0);
  CHECK(run_simgr(folder, {"inspect", file}).out.find("pretraining.epochs = 1\n") !=
        std::string::npos);
}

TEST_CASE("s3rec reads the attributes of a folder, and says where there are none") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m.simgr");
  simgr_test::write_data_folder(data);
  auto arguments = fit_sequential("s3rec", data, file);
  arguments.insert(arguments.end(), {"--set", "pretraining.epochs=2"});
  const auto without = run_simgr(folder, arguments);
  CHECK(without.code == 0);
  CHECK(without.err.find("no item of items.jsonl has attributes") != std::string::npos);
  CHECK(without.err.find("pre-training: epoch 2 of 2, loss ") != std::string::npos);

  std::string items;
  for (int item = 0; item < 30; ++item) {
    items += "{\"id\":" + std::to_string(item) + ",\"asin\":\"K" + std::to_string(item) +
             "\",\"title\":\"soap\",\"attributes\":[" + std::to_string(900 - item % 3) + ",7]}\n";
  }
  simgr_test::write_bytes(data + "/items.jsonl", items);
  const auto with = run_simgr(folder, arguments);
  CHECK(with.code == 0);
  CHECK(with.err.find("attributes") == std::string::npos);

  arguments.back() = "pretraining.epoch=2";
  const auto wrong = run_simgr(folder, arguments);
  CHECK(wrong.code == 2);
  CHECK(wrong.err.find("pretraining") != std::string::npos);
}

TEST_CASE("unisrec is pre-trained where asked, and not again when a run goes on") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m.simgr");
  simgr_test::write_data_folder(data);
  auto arguments = fit_sequential("unisrec", data, file);
  const auto plain = run_simgr(folder, arguments);
  CAPTURE(plain.err);
  REQUIRE(plain.code == 0);
  CHECK(plain.err.find("pre-training") == std::string::npos);
  const std::string without = simgr_test::read_bytes(file);

  arguments.insert(arguments.end(), {"--set", "pretraining.epochs=2"});
  const auto fitted = run_simgr(folder, arguments);
  CHECK(fitted.code == 0);
  CHECK(fitted.err.find("pre-training: epoch 2 of 2, loss ") != std::string::npos);
  CHECK(run_simgr(folder, {"inspect", file}).out.find("pretraining.epochs = 2\n") !=
        std::string::npos);
  const std::string whole = simgr_test::read_bytes(file);
  CHECK(whole != without);

  arguments.push_back("--resume");  // the state of its last epoch is there
  const auto resumed = run_simgr(folder, arguments);
  CHECK(resumed.code == 0);
  CHECK(resumed.err.find("pre-training") == std::string::npos);
  CHECK(simgr_test::read_bytes(file) == whole);
  CHECK(run_simgr(folder, {"recommend", file, "--history", "3 K17 9", "--k", "5"})
            .out.starts_with("unisrec, seen items removed\n1\t"));
  arguments.insert(arguments.end(), {"--set", "pretraining.epochs=3"});
  const auto other = run_simgr(folder, arguments);
  CHECK(other.code == 1);
  CHECK(other.err.find("pretraining.epochs was 2, is 3") != std::string::npos);
}

TEST_CASE("unisrec begins with the file of another data set, and says what does not fit") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), file = folder.file("m.simgr"),
                    other = folder.file("other.simgr");
  simgr_test::write_data_folder(data);
  auto arguments = fit_sequential("unisrec", data, other);
  REQUIRE(run_simgr(folder, arguments).code == 0);
  arguments = fit_sequential("unisrec", data, file);
  arguments.insert(arguments.end(), {"--set", "pretraining.from=" + other});
  const auto begun = run_simgr(folder, arguments);
  CAPTURE(begun.err);
  CHECK(begun.code == 0);
  CHECK(run_simgr(folder, {"inspect", file}).out.find("pretraining.from = other.simgr\n") !=
        std::string::npos);
  CHECK(simgr_test::read_bytes(file) != simgr_test::read_bytes(other));

  arguments.insert(arguments.end(), {"--set", "encoder.heads=1", "--set", "encoder.inner=4"});
  const auto wrong = run_simgr(folder, arguments);
  CHECK(wrong.code == 1);
  CHECK(wrong.err.find("weights to begin with: expected encoder.") != std::string::npos);
  auto of_s3rec = fit_sequential("s3rec", data, folder.file("s.simgr"));
  of_s3rec.insert(of_s3rec.end(), {"--set", "pretraining.from=" + other});
  CHECK(run_simgr(folder, of_s3rec).code == 2);
}

TEST_CASE("a fit that is killed before its training begins goes on there, too") {
  const simgr_test::TemporaryFolder folder;
  const std::string data = folder.file("data"), whole = folder.file("whole.simgr"),
                    cut = folder.file("cut.simgr");
  simgr_test::write_data_folder(data);
  const auto arguments = [&](const std::string& file) {
    auto all = fit_sequential("unisrec", data, file);
    all.insert(all.end(), {"--set", "pretraining.epochs=40", "--resume"});
    return all;
  };
  REQUIRE(run_simgr(folder, arguments(whole)).code == 0);
  int within = 0;  // of the stage
  simgr_test::Run last;
  for (int attempt = 0; attempt < 60; ++attempt) {
    const simgr_test::Process process(folder, arguments(cut));
    if (attempt < 40) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + 13 * (attempt % 7)));
      process.kill();
    }
    last = process.wait();
    if (last.code == 0) {
      break;
    }
    REQUIRE(last.code == -SIGKILL);
    within += std::filesystem::exists(cut + ".state.before") ? 1 : 0;
  }
  CAPTURE(last.err);
  CHECK(last.code == 0);
  CHECK(within > 0);
  CHECK(simgr_test::read_bytes(cut) == simgr_test::read_bytes(whole));
  CHECK_FALSE(std::filesystem::exists(cut + ".state.before"));
}
