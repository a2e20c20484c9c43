// SPDX-License-Identifier: Apache-2.0
#include <cli/program.hpp>

#include <doctest/doctest.h>
#include <support/published_bert.hpp>
#include <support/published_decoder.hpp>

#include <simgr/data/npy.hpp>

namespace {

using simgr_test::PublishedBert;
using simgr_test::TemporaryFolder;

/// A folder with so many items, whose titles are words that the small model knows.
std::string items_in(const TemporaryFolder& folder, int count) {
  const std::string data = folder.file("data");
  std::filesystem::create_directories(data);
  std::ofstream file(data + "/items.jsonl");
  const char* const words[] = {"red", "green", "tea", "cups", "lamp"};
  for (int i = 0; i < count; ++i) {
    file << R"({"id": )" << i << R"(, "title": ")" << words[i % 5] << ' ' << words[i / 5 % 5] << ' '
         << words[i / 25 % 5] << "\"}\n";
  }
  return data;
}

std::vector<std::string> parts_of(const std::string& out) {
  std::vector<std::string> parts;
  const std::filesystem::path path(out);
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(path.filename().string() + ".part-") &&
        name.find(".tmp-") == std::string::npos) {
      parts.push_back(entry.path().string());
    }
  }
  return parts;
}

}  // namespace

TEST_CASE("simgr embed makes a vector of each item's text") {
  const PublishedBert bert;
  const TemporaryFolder folder;
  const std::string data = items_in(folder, 30), out = folder.file("v.npy");
  const std::string backbone = bert.folder.path().string();
  const auto run = simgr_test::run_simgr(
      folder, {"embed", "--backbone", backbone, "--data", data, "--out", out});
  CAPTURE(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.out == "saved " + out + ": 30 vectors of 32 numbers\n");
  const auto vectors = simgr::data::read_npy(out, {.rows = 30, .cols = 32});
  for (simgr::Index i = 0; i < 30; ++i) {
    double squares = 0;
    for (const float value : vectors.view().row(i)) {
      squares += static_cast<double>(value * value);
    }
    CHECK(squares == doctest::Approx(1).epsilon(1e-5));
  }
  CHECK(parts_of(out).empty());
  const auto other =
      simgr_test::run_simgr(folder, {"embed", "--backbone", backbone, "--data", data, "--out", out,
                                     "--pooling", "last", "--unscaled"});
  REQUIRE(other.code == 0);
  CHECK(simgr::data::read_npy(out).values != vectors.values);
}

TEST_CASE("simgr embed reads a decoder, whose last token stands for a text") {
  const simgr_test::PublishedQwen decoder;
  const TemporaryFolder folder;
  const std::string data = items_in(folder, 30), out = folder.file("v.npy");
  const auto vectors = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{
        "embed", "--backbone", decoder.path().string(), "--data", data, "--out", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = simgr_test::run_simgr(folder, arguments);
    CAPTURE(run.err);
    REQUIRE(run.code == 0);
    CHECK(run.out == "saved " + out + ": 30 vectors of 16 numbers\n");
    return simgr::data::read_npy(out, {.rows = 30, .cols = 16}).values;
  };
  const auto last = vectors({});
  CHECK(last == vectors({"--pooling", "last"}));
  CHECK(last != vectors({"--pooling", "mean"}));
}

TEST_CASE("simgr embed goes on where it was killed, and believes no damaged part") {
  const PublishedBert bert;
  const TemporaryFolder folder;
  const std::string data = items_in(folder, 20000), out = folder.file("v.npy"),
                    whole = folder.file("whole.npy");
  const auto arguments = [&](const std::string& file) {
    return std::vector<std::string>{"embed",  "--backbone", bert.folder.path().string(),
                                    "--data", data,         "--out",
                                    file,     "--threads",  "1"};
  };
  REQUIRE(simgr_test::run_simgr(folder, arguments(whole)).code == 0);
  std::vector<std::string> parts;
  {
    const simgr_test::Process process(folder, arguments(out));
    for (int waited = 0; parts.size() < 3 && waited < 60000; ++waited) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      parts = parts_of(out);
      REQUIRE(!std::filesystem::exists(out));
    }
    process.kill();
    process.wait();
    REQUIRE(parts.size() >= 3);
  }
  REQUIRE(!std::filesystem::exists(out));
  std::filesystem::resize_file(parts.front(), std::filesystem::file_size(parts.front()) / 2);
  const auto run = simgr_test::run_simgr(folder, arguments(out));
  CAPTURE(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.find("texts were there from a run before") != std::string::npos);
  CHECK(simgr_test::read_bytes(out) == simgr_test::read_bytes(whole));
  CHECK(parts_of(out).empty());
}

TEST_CASE("simgr embed says what is wrong before it works") {
  const PublishedBert bert;
  const TemporaryFolder folder;
  const std::string data = items_in(folder, 3), thesis = folder.file("thesis.txt");
  const std::string backbone = bert.folder.path().string();
  std::ofstream(thesis) << "years of work\n";
  const auto refused = [&](const std::string& model, const std::string& from, const std::string& to,
                           const char* sentence) {
    const auto run =
        simgr_test::run_simgr(folder, {"embed", "--backbone", model, "--data", from, "--out", to});
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(run.err.find(sentence) != std::string::npos);
  };
  refused(backbone, data, thesis, "is no .npy file; it is not replaced");
  CHECK(simgr_test::read_bytes(thesis) == "years of work\n");
  refused(backbone, folder.path().string(), folder.file("v.npy"), "neither items.jsonl nor");
  refused(data, data, folder.file("v.npy"), "config.json");
}
