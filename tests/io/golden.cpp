// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

#include <support/golden.hpp>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

/// A family folder of two cases, each with tensors "input.x" [2] and "output.y" [1].
fs::path two_cases() {
  const fs::path folder =
      fs::temp_directory_path() / ("simgr_golden_" + std::to_string(::getpid()));
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const char* name : {"first", "second"}) {
    const std::string header = R"({"input.x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                               R"("output.y":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}})";
    const float x[] = {1.5f, -2.0f};
    const std::int64_t y = 7, length = static_cast<std::int64_t>(header.size());
    std::ofstream file(folder / (std::string(name) + ".safetensors"), std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), 8);
    file << header;
    file.write(reinterpret_cast<const char*>(x), 8);
    file.write(reinterpret_cast<const char*>(&y), 8);
    std::ofstream(folder / (std::string(name) + ".json"))
        << R"({"config": {"kind": ")" << name << R"(", "tau": 0.5, "k": [1, 5], "tied": true}})";
  }
  return folder;
}

/// Families that some test source owns, by the line that opens them.
std::set<std::string> families_with_tests() {
  std::set<std::string> families;
  for (const auto& entry : fs::recursive_directory_iterator(SIMGR_SOURCE_DIR "/tests")) {
    if (entry.path().extension() != ".cpp") {
      continue;
    }
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string mark = std::string("GoldenFamily ") + "family(\"";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
      const std::size_t begin = at + mark.size();
      families.insert(text.substr(begin, text.find('"', begin) - begin));
    }
  }
  return families;
}

}  // namespace

TEST_CASE("a golden case gives its tensors and config, and says what nobody read") {
  const fs::path folder = two_cases();
  simgr_test::GoldenFamily golden("toy", folder);
  REQUIRE(golden.cases().size() == 2);
  auto& first = golden.cases().front();
  CHECK(first.name() == "toy/first");
  CHECK(first.text("kind") == "first");
  CHECK(first.number("tau") == 0.5);
  CHECK(first.integer("layers", 3) == 3);
  CHECK(first.flag("tied"));
  CHECK(first.numbers("k") == std::vector<double>{1, 5});
  CHECK(first.tensor<double>("input.x") == std::vector<double>{1.5, -2.0});
  CHECK(first.shape("output.y") == std::vector<simgr::Index>{1});
  const auto left_out = golden.finish();
  REQUIRE(left_out.size() == 2);
  CHECK(left_out[0] == "toy/first: no test read output.y");
  CHECK(left_out[1] == "toy/second: no test recognised this case");
  fs::remove_all(folder);
}

TEST_CASE("a golden family that was read whole, or excused with a reason, is complete") {
  const fs::path folder = two_cases();
  simgr_test::GoldenFamily golden("toy", folder);
  auto& first = golden.cases().front();
  first.check("input.x", std::vector<float>{1.5f, -2.0f}, 1e-6);
  CHECK(first.scalar<std::int32_t>("output.y") == 7);
  auto& second = golden.cases().back();
  CHECK(second.matrix<float>("input.x").rows == 2);
  second.not_compared("output.y", "a reason");
  CHECK(golden.finish().empty());
  fs::remove_all(folder);
}

TEST_CASE("an empty golden family is reported") {
  simgr_test::GoldenFamily golden("toy", "/nonexistent");
  CHECK(golden.finish() == std::vector<std::string>{"golden/toy holds no case"});
}

TEST_SUITE("golden") {
  TEST_CASE("families without a test are printed as still to come") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const std::set<std::string> built = families_with_tests();
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(*shared / "golden")) {
      if (entry.is_directory()) {
        found.insert(entry.path().filename().string());
      }
    }
    REQUIRE_FALSE(found.empty());
    std::string line;
    for (const std::string& family : found) { line += built.contains(family) ? "" : " " + family; }
    std::printf("golden families still to come:%s\n", line.empty() ? " none" : line.c_str());
    for (const std::string& family : built) {
      CHECK_MESSAGE(found.contains(family), "a test owns golden/", family, ", which is not there");
    }
  }

  TEST_CASE("every tensor of every golden file can be read") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    std::size_t files = 0, tensors = 0;
    for (const auto& entry : fs::recursive_directory_iterator(*shared / "golden")) {
      if (entry.path().extension() != ".safetensors") {
        continue;
      }
      const auto file = simgr::io::try_read_safetensors(entry.path().string());
      REQUIRE_MESSAGE(file.ok(), entry.path().string());
      ++files;
      for (const auto& tensor : file.value().tensors()) {
        const auto values = file.value().try_read<double>(tensor.name);
        REQUIRE(values.ok());
        CHECK(static_cast<simgr::Index>(values.value().size()) == tensor.size());
        ++tensors;
      }
    }
    std::ifstream list(*shared / "golden/TENSORS.tsv");
    const auto lines = std::count(std::istreambuf_iterator<char>(list), {}, '\n');
    CHECK(tensors == static_cast<std::size_t>(lines) - 1);
    std::printf("golden: %zu files, %zu tensors read\n", files, tensors);
  }
}
