// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/safetensors.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <doctest/doctest.h>

#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>
#include <simgr/io/safetensors_writer.hpp>

namespace {

using simgr::Index;
using simgr_test::TemporaryFolder;

/// The bytes of a file with this header and this many bytes of data.
std::string file_bytes(const std::string& header, std::size_t data_bytes) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) { bytes[i] = static_cast<char>(header.size() >> (8 * i)); }
  return bytes + header + std::string(data_bytes, 'x');
}

/// What the reader says about these bytes: "accepted", or the message behind the path.
std::string verdict(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = folder.file("x");
  simgr_test::write_bytes(path, bytes);
  const auto result = simgr::io::try_read_safetensors(path);
  if (result.ok()) {
    return "accepted";
  }
  const std::string text = result.error().what();
  CHECK(text.starts_with(path));
  return text.substr(path.size());
}

struct Broken {
  const char* header;
  std::size_t data_bytes;
  const char* message;
};

}  // namespace

TEST_CASE("what the writer wrote, the reader gives back") {
  const TemporaryFolder folder;
  const std::string path = folder.file("all.safetensors");
  const std::vector<float> floats{1.5f, -2.25f, 3e-9f, 0, 5, 6};
  const std::vector<double> doubles{1e300, -0.0};
  const std::vector<std::int64_t> longs{INT64_MIN, INT64_MAX};
  const std::vector<std::uint8_t> small{0, 255, 7};
  const bool flags[] = {true, false};
  simgr::io::TensorList list;
  list.set("who", "\"quoted\"\n\xc3\xa9");
  list.set("who", "later \"text\"\n\xc3\xa9");
  list.add("small", {3}, std::span<const std::uint8_t>(small));
  list.add("flags", {2}, std::span<const bool>(flags));
  list.add("a.float", {2, 3}, std::span<const float>(floats));
  list.add("doubles", {2, 1}, std::span<const double>(doubles));
  list.add_copy("longs", {2}, std::span<const std::int64_t>(longs));
  list.add_rounded("half", simgr::io::Dtype::f16, {6}, floats);
  list.add_rounded("brain", simgr::io::Dtype::bf16, {6}, floats);
  list.add("none", {0, 5}, std::span<const float>());
  list.add("one", {}, std::span<const float>(floats).first(1));
  simgr::io::write_safetensors(path, list);

  const auto file = simgr::io::read_safetensors(path);
  CHECK(file.tensors().size() == 9);
  CHECK(file.metadata().size() == 1);
  CHECK(*file.find_metadata("who") == "later \"text\"\n\xc3\xa9");
  CHECK(file.find_metadata("nobody") == nullptr);
  CHECK(file.find("nothing") == nullptr);
  CHECK(file.read<float>("a.float") == floats);
  CHECK(file.find("a.float")->shape == std::vector<Index>{2, 3});
  CHECK(file.read<double>("doubles") == doubles);
  CHECK(file.read<std::int64_t>("longs") == longs);
  CHECK(file.read<std::int32_t>("small") == std::vector<std::int32_t>{0, 255, 7});
  CHECK(file.read<std::uint8_t>("flags") == std::vector<std::uint8_t>{1, 0});
  CHECK(file.read<float>("half").front() == 1.5f);
  CHECK(file.read<double>("brain")[1] == -2.25);
  CHECK(file.read<float>("none").empty());
  CHECK(file.read<float>("one") == std::vector<float>{1.5f});
  CHECK(file.header_text().size() % 8 == 0);
  for (const auto& tensor : file.tensors()) {
    const auto place = tensor.bytes.data() - file.tensors().front().bytes.data();
    CHECK(place % simgr::io::bytes_of(tensor.dtype) == 0);  // aligned, though it need not be
  }

  const std::vector<Index> right{2, 3}, wrong{3, 2};
  CHECK(file.read<double>("a.float", right).size() == 6);
  const auto other = file.try_read<float>("a.float", wrong);
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().kind() == simgr::ErrorKind::shape);
  CHECK(std::string(other.error().what()) == path + ": a.float: expected [3, 2], file has [2, 3]");
  CHECK_THROWS_AS(file.read<float>("nothing"), simgr::DataError);
  CHECK_THROWS_AS(file.read<std::int32_t>("a.float"), simgr::DataError);
}

TEST_CASE("a file of metadata alone, and one of nothing, are files") {
  const TemporaryFolder folder;
  simgr::io::TensorList list;
  simgr::io::write_safetensors(folder.file("none"), list);
  CHECK(simgr::io::read_safetensors(folder.file("none")).tensors().empty());
  list.set("key", "text");
  simgr::io::write_safetensors(folder.file("text"), list);
  CHECK(*simgr::io::read_safetensors(folder.file("text")).find_metadata("key") == "text");
}

TEST_CASE("the writer refuses what the reader would") {
  const TemporaryFolder folder;
  const std::vector<float> floats{1, 2};
  const auto error_of = [&](const simgr::io::TensorList& list) {
    const auto failure = simgr::io::try_write_safetensors(folder.file("x"), list);
    REQUIRE(failure);
    return std::string(failure->what());
  };
  simgr::io::TensorList twice;
  twice.add("a", {2}, std::span<const float>(floats));
  twice.add("a", {1}, std::span<const float>(floats).first(1));
  CHECK(error_of(twice).find("the key \"a\" stands twice") != std::string::npos);
  simgr::io::TensorList size;
  size.add("a", {3}, std::span<const float>(floats));
  CHECK(error_of(size) == "a: the shape [3] does not hold 2 elements");
  simgr::io::TensorList reserved;
  reserved.add("__metadata__", {2}, std::span<const float>(floats));
  CHECK_FALSE(error_of(reserved).empty());
  simgr::io::TensorList bytes;
  bytes.set("key", "\xff\xfe");
  CHECK(error_of(bytes).find("not valid JSON") != std::string::npos);
  CHECK(folder.entries() == 0);
}

TEST_CASE("broken headers are refused, each with its reason") {
  const TemporaryFolder folder;
  const Broken cases[] = {
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "accepted"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   )", 4, "accepted"},
      {R"({"a":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"},"__metadata__":{}})", 4,
       "accepted"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "was it cut"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "what follows"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "needs 8 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "neither overlap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "needs 4 bytes"},
      {R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype"},
      {R"({"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype"},
      {R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", 4, "wrong type"},
      {R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "expected dtype, shape"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "expected dtype, shape"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "expected dtype, shape"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "expected dtype, shape"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, "two numbers"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4, "another field"},
      {R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, "wrong type"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "whole numbers"},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "whole numbers"},
      {R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", 4, "whole numbers"},
      {R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, "whole numbers"},
      {R"({"a":{"dtype":"F32","shape":[null],"data_offsets":[0,4]}})", 4, "whole numbers"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4, "whole numbers"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":{"0":4}}})", 4, "wrong type"},
      {R"({"a":{"dtype":"U8","shape":[1000000000000],"data_offsets":[0,1000000000000]}})", 4,
       "was it cut"},
      {R"({"a":{"dtype":"U8","shape":[1000000000000],"data_offsets":[0,4]}})", 4,
       "needs 1000000000000"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
       "64 bits"},
      {R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})", 0,
       "64 bits"},
      {R"({"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}})", 0, "accepted"},
      {R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,0]}})", 0, "64 bits"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "stands twice"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "neither overlap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
       12, "neither overlap"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       12, "neither overlap"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
       "stands twice"},
      {R"({"a":4})", 4, "expected an object"},
      {R"({"a":[]})", 4, "expected an object"},
      {R"({"__metadata__":{"a":1}})", 0, "expected text"},
      {R"({"__metadata__":{"a":{}}})", 0, "expected text"},
      {R"({"__metadata__":{"a":"b","a":"c"}})", 0, "stands twice"},
      {R"({"__metadata__":"a"})", 0, "expected an object"},
      {R"([])", 0, "begins with {"},
      {R"( {})", 0, "begins with {"},
      {R"(7 )", 0, "begins with {"},
      {R"({})", 0, "accepted"},
      {R"({})", 1, "what follows"},
      {R"({} x)", 0, "not valid JSON"},
      {R"({"a":)", 0, "not valid JSON"},
      {"{\"\xff\":1}", 0, "not valid JSON"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},)", 4, "not valid JSON"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
       4, "32 axes"},
  };
  for (const Broken& broken : cases) {
    CAPTURE(broken.header);
    CAPTURE(broken.data_bytes);
    const std::string said = verdict(folder, file_bytes(broken.header, broken.data_bytes));
    CAPTURE(said);
    CHECK(said.find(broken.message) != std::string::npos);
  }
  std::printf("safetensors: %zu hand-made headers\n", std::size(cases));
}

TEST_CASE("lengths that a file cannot justify are refused") {
  const TemporaryFolder folder;
  CHECK(verdict(folder, "") == ": expected a safetensors file, found only 0 bytes");
  CHECK(verdict(folder, std::string(8, '\0')) ==
        ": expected a safetensors file, found only 8 bytes");
  CHECK(verdict(folder, std::string(9, '\0')).find("only 9") != std::string::npos);
  CHECK(verdict(folder, std::string(10, '\0')).find("begins with {") != std::string::npos);
  std::string huge = file_bytes("{}", 0);
  huge[7] = '\x7f';
  CHECK(verdict(folder, huge)
            .find("the header claims 9151314442816847874 bytes, at most 2 are possible") !=
        std::string::npos);
  huge[7] = '\xff';
  CHECK(verdict(folder, huge).find("at most 2 are possible") != std::string::npos);
}

TEST_CASE("folders, pipes, devices and missing files are refused without waiting") {
  const TemporaryFolder folder;
  const auto said = [](const std::string& path) {
    const auto result = simgr::io::try_read_safetensors(path);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().kind() == simgr::ErrorKind::io);
    return std::string(result.error().what());
  };
  CHECK(said(folder.path().string()).find("not a regular file") != std::string::npos);
  CHECK(said("/dev/zero").find("not a regular file") != std::string::npos);
  REQUIRE(::mkfifo(folder.file("pipe").c_str(), 0600) == 0);
  CHECK(said(folder.file("pipe")).find("not a regular file") != std::string::npos);
  CHECK(said(folder.file("none")).find("No such file") != std::string::npos);
  CHECK(said(std::string("a\0b", 3)).find("NUL") != std::string::npos);
  std::filesystem::create_symlink("loop", folder.path() / "loop");
  CHECK_FALSE(said(folder.file("loop")).empty());
}

TEST_CASE("a file cut at any byte is refused (R4)") {
  const TemporaryFolder folder;
  const std::vector<float> floats(20, 1.0f);
  simgr::io::TensorList list;
  list.set("key", "text");
  list.add("a", {4, 5}, std::span<const float>(floats));
  list.add("b", {3}, std::span<const float>(floats).first(3));
  simgr::io::write_safetensors(folder.file("whole"), list);
  const std::string bytes = simgr_test::read_bytes(folder.file("whole"));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK(verdict(folder, bytes.substr(0, cut)) != "accepted");
  }
  CHECK(verdict(folder, bytes + "x") != "accepted");
  CHECK(verdict(folder, bytes) == "accepted");
}

TEST_CASE("no change of one header byte does harm (R5)") {
  const TemporaryFolder folder;
  const std::vector<float> floats(6, 1.0f);
  simgr::io::TensorList list;
  list.add("ab", {2, 3}, std::span<const float>(floats));
  simgr::io::write_safetensors(folder.file("whole"), list);
  const std::string bytes = simgr_test::read_bytes(folder.file("whole"));
  std::size_t accepted = 0, refused = 0;
  for (std::size_t at = 0; at + 24 < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      if (verdict(folder, changed) != "accepted") {
        ++refused;
        continue;
      }
      ++accepted;
      const auto file = simgr::io::read_safetensors(folder.file("x"));
      REQUIRE(file.tensors().size() <= 1);
      for (const auto& tensor : file.tensors()) { CHECK(tensor.bytes.size() == 24); }
    }
  }
  CHECK(refused > 50 * accepted / 10);  // a name or dtype of the same width may change unseen
  std::printf("safetensors: %zu changed headers, %zu refused\n", accepted + refused, refused);
}

TEST_SUITE("data") {
  TEST_CASE("files of other writers load, and none of them loads when it is cut") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const TemporaryFolder folder;
    std::size_t files = 0, cuts = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(*shared / "data/fixtures/safetensors")) {
      if (!entry.is_regular_file()) {
        continue;
      }
      ++files;
      const auto file = simgr::io::read_safetensors(entry.path().string());
      CHECK(file.tensors().size() >= 8);
      for (const auto& tensor : file.tensors()) {
        CHECK(static_cast<Index>(file.read<double>(tensor.name).size()) == tensor.size());
      }
      const std::string bytes = simgr_test::read_bytes(entry.path().string());
      const std::size_t header = bytes.size() - [&] {
        std::size_t data = 0;
        for (const auto& tensor : file.tensors()) { data += tensor.bytes.size(); }
        return data;
      }();
      const std::string path = folder.file("cut");
      simgr_test::write_bytes(path, bytes);
      for (std::size_t cut = bytes.size(); cut-- > 0; ++cuts) {
        std::filesystem::resize_file(path, cut);
        const auto result = simgr::io::try_read_safetensors(path);
        if (result.ok()) {
          FAIL("accepted a file cut at byte ", cut, " of ", bytes.size());
        }
        if (cut > header + 64 && cut % 8 != 0) {
          cut -= cut % 8;  // inside the data every eighth byte
        }
      }
    }
    CHECK(files == 2);
    std::printf("safetensors fixtures: %zu files, %zu cuts refused\n", files, cuts);
  }
}
