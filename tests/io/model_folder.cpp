// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/model_folder.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/io/safetensors_writer.hpp>

namespace {

using simgr::Index;
using simgr::io::ModelFolder;
using simgr::io::Residence;
using simgr_test::TemporaryFolder;
using simgr_test::write_bytes;

/// A file with these tensors of three numbers each, which count from the place of the name.
void write_shard(const std::string& path, const std::vector<std::string>& names) {
  simgr::io::TensorList list;
  for (const std::string& name : names) {
    const auto first = static_cast<float>(name.size());
    const std::vector<float> values{first, first + 1, first + 2};
    list.add_copy(name, {3}, std::span<const float>(values));
  }
  simgr::io::write_safetensors(path, list);
}

/// A folder of two files and their index.
void write_shards(const TemporaryFolder& folder) {
  write_shard(folder.file("model-00001-of-00002.safetensors"), {"a", "bb"});
  write_shard(folder.file("model-00002-of-00002.safetensors"), {"ccc"});
  write_bytes(folder.file("model.safetensors.index.json"),
              R"({"metadata": {"total_size": 36}, "weight_map": {
                  "a": "model-00001-of-00002.safetensors",
                  "bb": "model-00001-of-00002.safetensors",
                  "ccc": "model-00002-of-00002.safetensors"}})");
}

std::string refusal(const std::string& path) {
  const auto result = ModelFolder::try_open(path);
  REQUIRE_FALSE(result.ok());
  return result.error().what();
}

}  // namespace

TEST_CASE("a checkpoint of one file and one of several read alike, mapped and copied") {
  const TemporaryFolder single, sharded;
  write_shard(single.file("model.safetensors"), {"ccc", "a", "bb"});
  write_shards(sharded);
  for (const Residence residence : {Residence::mapped, Residence::copied}) {
    for (const TemporaryFolder* folder : {&single, &sharded}) {
      const ModelFolder opened = ModelFolder::open(folder->path().string(), residence);
      REQUIRE(opened.tensors().size() == 3);
      CHECK(opened.tensors()[0].view->name == "a");
      CHECK(opened.tensors()[2].view->name == "ccc");
      CHECK(opened.find("d") == nullptr);
      const simgr::io::TensorView* tensor = opened.find("ccc");
      REQUIRE(tensor != nullptr);
      std::vector<float> values(3);
      CHECK_FALSE(simgr::io::convert(*tensor, values.data()));
      CHECK(values == std::vector<float>{3, 4, 5});
      CHECK(opened.beside("config.json") == folder->file("config.json"));
    }
  }
  const ModelFolder moved = [&] {
    ModelFolder opened = ModelFolder::open(sharded.path().string());
    return opened;
  }();
  CHECK(moved.files().size() == 2);
  CHECK(moved.find("bb")->size() == 3);
  CHECK(moved.name() == sharded.file("model.safetensors.index.json"));
  // The index alone, and one file alone, may be given as well.
  CHECK(ModelFolder::open(sharded.file("model.safetensors.index.json")).tensors().size() == 3);
  CHECK(ModelFolder::open(sharded.file("model-00001-of-00002.safetensors")).tensors().size() == 2);
}

TEST_CASE("a mapped checkpoint is as it was while a new one replaces it (R16)") {
  const TemporaryFolder folder;
  write_shard(folder.file("model.safetensors"), {"a"});
  const ModelFolder opened = ModelFolder::open(folder.path().string());
  write_shard(folder.file("model.safetensors"), {"other", "names"});
  std::vector<float> values(3);
  CHECK_FALSE(simgr::io::convert(*opened.find("a"), values.data()));
  CHECK(values == std::vector<float>{1, 2, 3});
  CHECK(ModelFolder::open(folder.path().string()).tensors().size() == 2);
}

TEST_CASE("files that are not there, or that run code") {
  const TemporaryFolder folder;
  CHECK(refusal(folder.file("none")).find("No such file") != std::string::npos);
  CHECK(refusal(folder.path().string()).find("found neither") != std::string::npos);
  write_bytes(folder.file("pytorch_model.bin"), "x");
  CHECK(refusal(folder.path().string()).find("convert it to safetensors") != std::string::npos);
  write_shards(folder);
  std::filesystem::remove(folder.file("model-00002-of-00002.safetensors"));
  CHECK(refusal(folder.path().string()).find("model-00002-of-00002.safetensors: open: No such") !=
        std::string::npos);
  std::filesystem::create_directory(folder.file("model-00002-of-00002.safetensors"));
  CHECK(refusal(folder.path().string()).find("not a regular file") != std::string::npos);
  std::filesystem::remove(folder.file("model-00002-of-00002.safetensors"));
  std::filesystem::create_symlink("/dev/zero", folder.file("model-00002-of-00002.safetensors"));
  CHECK(refusal(folder.path().string()).find("not a regular file") != std::string::npos);
}

TEST_CASE("links of a download cache are followed") {
  const TemporaryFolder blobs, folder;
  write_shard(blobs.file("0a1b2c"), {"a"});
  std::filesystem::create_symlink(blobs.file("0a1b2c"), folder.file("model.safetensors"));
  CHECK(ModelFolder::open(folder.path().string()).tensors().size() == 1);
}

TEST_CASE("an index that lies is refused, with all that is wrong (R10)") {
  const TemporaryFolder folder;
  write_shards(folder);
  const std::string path = folder.file("model.safetensors.index.json");
  const std::string one = "\"model-00001-of-00002.safetensors\"",
                    two = "\"model-00002-of-00002.safetensors\"";
  struct Broken {
    std::string index, message;
  };
  const Broken cases[] = {
      {"", "not valid JSON"},
      {"[]", "weight_map: expected an object that names a file for every tensor"},
      {"{}", "weight_map: expected"},
      {R"({"weight_map": {}})", "weight_map: expected"},
      {R"({"weight_map": []})", "weight_map: expected"},
      {R"({"weight_map": {"a": 3}})",
       "a: expected the name of a .safetensors file in the same folder, found integer"},
      {R"({"weight_map": {"a": "../model.safetensors"}})", "found \"../model.safetensors\""},
      {R"({"weight_map": {"a": "/etc/x.safetensors"}})", "found \"/etc/x.safetensors\""},
      {R"({"weight_map": {"a": "sub/x.safetensors"}})", "found \"sub/x.safetensors\""},
      {R"({"weight_map": {"a": "..\\x.safetensors"}})", "in the same folder"},
      {R"({"weight_map": {"a": "x\u0000.safetensors"}})", "in the same folder"},
      {R"({"weight_map": {"a": "x\n.safetensors"}})", "in the same folder"},
      {R"({"weight_map": {"a": ".safetensors"}})", "in the same folder"},
      {R"({"weight_map": {"a": ".."}})", "in the same folder"},
      {R"({"weight_map": {"a": ""}})", "in the same folder"},
      {R"({"weight_map": {"a": "pytorch_model.bin"}})", "in the same folder"},
      {R"({"weight_map": {"a": ")" + std::string(300, 'x') + R"(.safetensors"}})",
       "in the same folder"},
      {R"({"weight_map": {"a": )" + one + R"(, "a": )" + two + "}}", "stands twice"},
      {R"({"weight_map": {"a": )" + one + R"(, "bb": )" + two + R"(, "ccc": )" + two + "}}",
       "1 tensor does not stand in one file, the one that is named: bb: expected in "
       "model-00002-of-00002.safetensors, found in another file"},
      {R"({"weight_map": {"a": )" + one + R"(, "x": )" + one + R"(, "y": )" + two + "}}",
       "2 tensors do not stand in one file, the one that is named: x: expected in "
       "model-00001-of-00002.safetensors, found nowhere; y: expected in "
       "model-00002-of-00002.safetensors, found nowhere"},
      {std::string(100, '['), "nested deeper than 8"},
  };
  for (const Broken& broken : cases) {
    CAPTURE(broken.index);
    write_bytes(path, broken.index);
    const std::string said = refusal(folder.path().string());
    CAPTURE(said);
    CHECK(said.starts_with(path));
    CHECK(said.find(broken.message) != std::string::npos);
  }
  write_shards(folder);
  write_shard(folder.file("model-00002-of-00002.safetensors"), {"ccc", "bb"});
  CHECK(refusal(folder.path().string())
            .find("bb: found in model-00001-of-00002.safetensors and in "
                  "model-00002-of-00002.safetensors") != std::string::npos);
  std::ofstream(path) << std::string((64 << 20) + 1, ' ');
  CHECK(refusal(folder.path().string()).find("at most 67108864 bytes") != std::string::npos);
}

TEST_SUITE("golden") {
  TEST_CASE("a sharded checkpoint holds what its single file does") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    std::size_t folders = 0, tensors = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(*shared / "golden/models")) {
      if (entry.path().filename() != ModelFolder::index_name) {
        continue;
      }
      const auto folder = entry.path().parent_path();
      const ModelFolder sharded = ModelFolder::open(folder.string());
      const ModelFolder single =
          ModelFolder::open(folder.parent_path().string(), Residence::copied);
      REQUIRE(sharded.tensors().size() == single.tensors().size());
      for (std::size_t i = 0; i < single.tensors().size(); ++i) {
        const simgr::io::TensorView &a = *sharded.tensors()[i].view, &b = *single.tensors()[i].view;
        CHECK(a.name == b.name);
        CHECK(a.shape == b.shape);
        CHECK(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
        ++tensors;
      }
      ++folders;
    }
    CHECK(folders > 0);
    std::printf("sharded: %zu folders, %zu tensors\n", folders, tensors);
  }
}
