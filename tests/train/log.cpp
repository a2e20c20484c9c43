// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/log.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include <doctest/doctest.h>
#include <unistd.h>

namespace {

using simgr::train::EpochLog;
using simgr::train::EpochReport;
using simgr::train::LogFormat;

struct TemporaryFolder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("simgr_log_" + std::to_string(::getpid()));
  TemporaryFolder() { std::filesystem::create_directories(path); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

EpochReport report(simgr::Index epoch) {
  return {.epoch = epoch, .epochs = 9, .loss = 0.1 + 0.2, .seconds = 1.0 / 3};
}

}  // namespace

TEST_CASE(
    "a JSON line has the promised keys, null for what is absent, and numbers that read back") {
  EpochReport full = report(3);
  full.tokens_per_second = 98765.4321;
  full.validation_ndcg10 = 0.0412;
  full.rate = 1e-3;
  full.best = true;
  CHECK(simgr::train::log_line(full, LogFormat::jsonl) ==
        R"({"epoch":3,"epochs":9,"loss":0.30000000000000004,"seconds":0.3333333333333333,)"
        R"("tokens_per_second":98765.4321,"validation_ndcg@10":0.0412,"rate":0.001,)"
        R"("gradient_norm":0,"best":true})");
  CHECK(std::strtod("0.30000000000000004", nullptr) == 0.1 + 0.2);
  EpochReport bad = report(4);
  bad.loss = std::nan("");
  bad.gradient_norm = std::numeric_limits<double>::infinity();
  const std::string line = simgr::train::log_line(bad, LogFormat::jsonl);
  CHECK(line.find("\"loss\":null") != std::string::npos);
  CHECK(line.find("\"validation_ndcg@10\":null") != std::string::npos);
  CHECK(line.find("\"gradient_norm\":null") != std::string::npos);
}

TEST_CASE("a CSV line has as many fields as its header, empty for what is absent") {
  CHECK(simgr::train::csv_header() ==
        "epoch,epochs,loss,seconds,tokens_per_second,validation_ndcg@10,rate,gradient_norm,best");
  CHECK(simgr::train::log_line(report(1), LogFormat::csv) ==
        "1,9,0.30000000000000004,0.3333333333333333,0,,0,0,false");
}

TEST_CASE("every epoch is on disk as soon as it is reported") {
  const TemporaryFolder folder;
  for (const LogFormat format : {LogFormat::jsonl, LogFormat::csv}) {
    const auto path = folder.path / "log";
    EpochLog log(path, format);
    std::string expected = format == LogFormat::csv ? simgr::train::csv_header() + "\n" : "";
    CHECK(content(path) == expected);
    for (simgr::Index epoch = 1; epoch <= 3; ++epoch) {
      log(report(epoch));
      expected += simgr::train::log_line(report(epoch), format) + "\n";
      CHECK(content(path) == expected);
    }
  }
}

TEST_CASE("a resumed log keeps the finished epochs and drops what will run again") {
  const TemporaryFolder folder;
  for (const LogFormat format : {LogFormat::jsonl, LogFormat::csv}) {
    const auto path = folder.path / "log";
    const auto write = [&](simgr::Index from, simgr::Index to, simgr::Index finished) {
      EpochLog log(path, format, finished);
      for (simgr::Index epoch = from; epoch <= to; ++epoch) { log(report(epoch)); }
    };
    write(1, 6, 0);
    const std::string whole = content(path);
    std::ofstream(path, std::ios::app) << simgr::train::log_line(report(7), format).substr(0, 9);
    write(5, 6, 4);
    CHECK(content(path) == whole);
    // Cut at every byte, as a kill would: what is kept is always whole lines.
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      std::ofstream(path, std::ios::trunc) << whole.substr(0, size);
      write(7, 7, 6);
      const std::string text = content(path);
      const std::string last = simgr::train::log_line(report(7), format) + "\n";
      REQUIRE(text.size() >= last.size());
      const std::string kept = text.substr(0, text.size() - last.size());
      CHECK(text.substr(text.size() - last.size()) == last);
      const bool prefix = whole.substr(0, kept.size()) == kept;
      CHECK(prefix);
      CHECK((kept.empty() || kept.back() == '\n'));
    }
    write(1, 1, 0);
    CHECK(content(path).size() < whole.size());
  }
}

TEST_CASE("a resumed run leaves a file alone that is no log of its format") {
  const TemporaryFolder folder;
  const auto path = folder.path / "log";
  for (const LogFormat format : {LogFormat::jsonl, LogFormat::csv}) {
    const std::string other = format == LogFormat::csv
                                  ? simgr::train::log_line(report(1), LogFormat::jsonl) + "\n"
                                  : simgr::train::csv_header() + "\n";
    for (const std::string& text :
         {std::string("my notes"), std::string("my notes\nof years\n"), std::string("\n"), other}) {
      std::ofstream(path, std::ios::trunc) << text;
      const auto opened = EpochLog::try_open(path, format, 3);
      REQUIRE_FALSE(opened.ok());
      CHECK(std::string(opened.error().what()) ==
            path.string() + ":1: a resumed run goes on with its log, and this file is none");
      CHECK(content(path) == text);
    }
  }
}

TEST_CASE("a resumed log that is not there begins") {
  const TemporaryFolder folder;
  EpochLog log(folder.path / "new.jsonl", LogFormat::jsonl, 3);
  log(report(4));
  CHECK(content(folder.path / "new.jsonl") ==
        simgr::train::log_line(report(4), LogFormat::jsonl) + "\n");
}

TEST_CASE("a log that cannot be written names its path") {
  const auto opened = EpochLog::try_open("/nowhere/at/all.jsonl", LogFormat::jsonl);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().where().file == "/nowhere/at/all.jsonl");
  CHECK_THROWS_AS(EpochLog("/nowhere/at/all.jsonl", LogFormat::csv), simgr::IoError);
  if (std::filesystem::exists("/dev/full")) {
    EpochLog full("/dev/full", LogFormat::jsonl);
    CHECK_THROWS_AS(full(report(1)), simgr::IoError);
  }
}
