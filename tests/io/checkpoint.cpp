// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/checkpoint.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/temporary_folder.hpp>

namespace {

using simgr::Index;
using simgr::io::Checkpoint;
using simgr::io::CheckpointWriter;
using simgr_test::TemporaryFolder;

struct Toy {
  struct Config {
    Index items = 4, width = 3;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(simgr::Spec<2>{"encoder.items.table", {c.items, c.width}, simgr::Init::normal(1)},
      p.table...);
    f(simgr::Spec<1>{"encoder.bias", {c.width}, simgr::Init::ones()}, p.bias...);
    f(simgr::Spec<1>{"temperature", {1}, simgr::Init::constant(0.07)}, p.temperature...);
  }
};

std::vector<float> toy_block(const simgr::ParameterTable& table) {
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  simgr::initialise(table, std::span<float>(block), 7);
  return block;
}

/// A checkpoint of a few hundred bytes with everything in it.
void write_toy(const std::string& path, simgr::io::Keep keep = simgr::io::Keep::nothing,
               const std::string& note = "first") {
  const auto table = simgr::describe<Toy>({});
  const auto block = toy_block(table);
  const std::vector<std::string> keys{"B001", "", "key with \xff byte", "d"};
  CheckpointWriter writer;
  writer.set("simgr.model", "toy");
  writer.set("note", note);
  simgr::io::add_parameters(writer, table, block);
  writer.add_strings("catalogue/keys", keys);
  const std::uint64_t counters[] = {1, UINT64_MAX};
  writer.add_copy("state/rng", {2}, std::span<const std::uint64_t>(counters));
  writer.write(path, keep);
}

std::string error_of(const std::string& path) {
  const auto result = Checkpoint::try_read(path);
  return result.ok() ? "accepted" : result.error().what();
}

}  // namespace

TEST_CASE("a checkpoint gives back its texts, tensors, strings and parameters") {
  const TemporaryFolder folder;
  const std::string path = folder.file("toy.simgr");
  write_toy(path);
  CHECK(folder.entries() == 1);

  const auto checkpoint = Checkpoint::read(path);
  CHECK(checkpoint.text("simgr.model") == "toy");
  CHECK(checkpoint.text("simgr.format") == "1");
  CHECK(checkpoint.find_text("nothing") == nullptr);
  CHECK_THROWS_AS(checkpoint.text("nothing"), simgr::DataError);
  CHECK(checkpoint.read<std::uint64_t>("state/rng") == std::vector<std::uint64_t>{1, UINT64_MAX});
  CHECK(checkpoint.strings("catalogue/keys") ==
        std::vector<std::string>{"B001", "", "key with \xff byte", "d"});
  CHECK(checkpoint.fallback_reason().empty());

  const auto table = simgr::describe<Toy>({});
  std::vector<float> loaded(static_cast<std::size_t>(table.block_size));
  simgr::io::load_parameters(checkpoint, table, loaded);
  CHECK(loaded == toy_block(table));
}

TEST_CASE("a checkpoint without tensors, and an empty list of strings, are kept") {
  const TemporaryFolder folder;
  CheckpointWriter writer;
  writer.set("a", "b");
  writer.write(folder.file("x"));
  CHECK(Checkpoint::read(folder.file("x")).text("a") == "b");
  writer.add_strings("none", {});
  writer.write(folder.file("x"));
  CHECK(Checkpoint::read(folder.file("x")).strings("none").empty());
}

TEST_CASE("loading lists every mismatch at once and writes nothing") {
  const TemporaryFolder folder;
  const std::string path = folder.file("toy.simgr");
  const auto table = simgr::describe<Toy>({});
  const auto block = toy_block(table);
  const double wide = 0.07;
  CheckpointWriter writer;
  writer.add("encoder.items.table", {3, 3}, std::span<const float>(block).first(9));
  writer.add("temperature", {1}, std::span<const double>(&wide, 1));
  writer.add("encoder.bais", {3}, std::span<const float>(block).first(3));
  writer.add("first_moment/encoder.bias", {3}, std::span<const float>(block).first(3));
  writer.write(path);
  const auto checkpoint = Checkpoint::read(path);

  std::vector<float> target(block.size(), 42.0f);
  const auto failure = simgr::io::try_load_parameters(checkpoint, table, target);
  REQUIRE(failure);
  CHECK(failure->kind() == simgr::ErrorKind::data);
  CHECK(std::string(failure->what()) ==
        path + ": 4 tensors do not match the model: "
               "encoder.items.table: expected [4, 3], file has [3, 3]; "
               "encoder.bias: expected [3], file has none; "
               "temperature: expected F32, file has F64; "
               "encoder.bais: not expected, file has [3]");
  CHECK(target == std::vector<float>(block.size(), 42.0f));

  const auto moments = simgr::io::try_load_parameters(checkpoint, table, target, "first_moment");
  REQUIRE(moments);
  CHECK(std::string(moments->what()) ==
        path + ": 2 tensors do not match the model: "
               "first_moment/encoder.items.table: expected [4, 3], file has none; "
               "first_moment/temperature: expected [1], file has none");
}

TEST_CASE("groups keep parameters and moments apart") {
  const TemporaryFolder folder;
  const auto table = simgr::describe<Toy>({});
  const auto block = toy_block(table);
  std::vector<float> moments(block);
  for (float& value : moments) { value *= 2; }
  CheckpointWriter writer;
  simgr::io::add_parameters(writer, table, block);
  simgr::io::add_parameters(writer, table, moments, "optimizer/first_moment");
  writer.write(folder.file("x"));
  const auto checkpoint = Checkpoint::read(folder.file("x"));
  std::vector<float> a(block.size()), b(block.size());
  simgr::io::load_parameters(checkpoint, table, a);
  simgr::io::load_parameters(checkpoint, table, b, "optimizer/first_moment");
  CHECK(a == block);
  CHECK(b == moments);
}

TEST_CASE("a checkpoint cut at any byte is refused (R4)") {
  const TemporaryFolder folder;
  write_toy(folder.file("whole"));
  const std::string bytes = simgr_test::read_bytes(folder.file("whole"));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    simgr_test::write_bytes(folder.file("x"), std::string_view(bytes).substr(0, cut));
    CHECK(error_of(folder.file("x")) != "accepted");
  }
}

TEST_CASE("every flipped bit and every changed byte of a checkpoint is detected (R5)") {
  const TemporaryFolder folder;
  write_toy(folder.file("whole"));
  std::string bytes = simgr_test::read_bytes(folder.file("whole"));
  std::size_t header = 0;
  for (std::size_t i = 8; i-- > 0;) { header = header << 8 | static_cast<unsigned char>(bytes[i]); }
  header += 8;
  std::size_t changes = 0, named = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char whole = bytes[at];
    for (int step = 0; step < 8; ++step) {
      bytes[at] = static_cast<char>(whole ^ (1 << step));
      simgr_test::write_bytes(folder.file("x"), bytes);
      const std::string said = error_of(folder.file("x"));
      if (said == "accepted") {
        FAIL("byte ", at, ", bit ", step, " went unseen");
      }
      ++changes;
      named += at >= header && said.find(": the tensor is damaged") != std::string::npos ? 1 : 0;
    }
    bytes[at] = whole;
  }
  CHECK(named == (bytes.size() - header) * 8);  // damage of data names its tensor
  std::printf("checkpoint: %zu flipped bits, all detected\n", changes);

  for (std::size_t at = 0; at < header; at += 7) {  // every value at every seventh header byte
    const char whole = bytes[at];
    for (int value = 0; value < 256; ++value) {
      bytes[at] = static_cast<char>(value);
      if (bytes[at] == whole) {
        continue;
      }
      simgr_test::write_bytes(folder.file("x"), bytes);
      if (error_of(folder.file("x")) == "accepted") {
        FAIL("byte ", at, " as ", value, " went unseen");
      }
    }
    bytes[at] = whole;
  }
}

TEST_CASE("damage is told in words") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  write_toy(path);
  std::string bytes = simgr_test::read_bytes(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  simgr_test::write_bytes(path, bytes);
  CHECK(error_of(path).starts_with(
      path + ": catalogue/keys.bytes: the tensor is damaged: its checksum says "));
  simgr::io::TensorList plain;
  simgr::io::write_safetensors(path, plain);
  CHECK(error_of(path) == path + ": not a simgr checkpoint, or its header is damaged");
}

TEST_CASE("the previous checkpoint stands in for a missing or damaged one, and says why") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  write_toy(path, simgr::io::Keep::previous, "first");
  CHECK(folder.entries() == 1);
  write_toy(path, simgr::io::Keep::previous, "second");
  CHECK(folder.entries() == 2);
  write_toy(path, simgr::io::Keep::previous, "third");
  CHECK(folder.entries() == 2);
  CHECK(Checkpoint::try_read_newest(path).value_or_raise().text("note") == "third");

  const std::string bytes = simgr_test::read_bytes(path);
  simgr_test::write_bytes(path, std::string_view(bytes).substr(0, bytes.size() - 3));
  const auto fallen = Checkpoint::try_read_newest(path).value_or_raise();
  CHECK(fallen.text("note") == "second");
  CHECK(fallen.fallback_reason().find("was it cut?") != std::string::npos);

  std::filesystem::remove(path);
  CHECK(Checkpoint::try_read_newest(path).value_or_raise().fallback_reason().find("No such file") !=
        std::string::npos);
  std::filesystem::remove(simgr::io::previous_path(path));
  CHECK(Checkpoint::try_read_newest(path).error().where().file == path);
}

TEST_CASE("a checkpoint of format 1 written by the first release loads (R17)") {
  // Tensor "w" = [1.5, -2], text "note" = "kept"; made by another program. These bytes must load
  // for ever.
  const std::string header =
      R"({"__metadata__":{"note":"kept","simgr.format":"1","simgr.crc32c":"a432a922",)"
      R"("simgr.header_crc32c":"7ca35fc8"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}     )";
  const std::string data("\x00\x00\xc0\x3f\x00\x00\x00\xc0", 8);
  const TemporaryFolder folder;
  const std::string path = folder.file("release");
  const std::string length{static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
  simgr_test::write_bytes(path, length + header + data);
  const auto checkpoint = Checkpoint::read(path);
  CHECK(checkpoint.text("note") == "kept");
  CHECK(checkpoint.read<float>("w") == std::vector<float>{1.5f, -2.0f});

  const float w[] = {1.5f, -2.0f};
  CheckpointWriter writer;
  writer.set("note", "kept");
  writer.add("w", {2}, std::span<const float>(w));
  writer.write(folder.file("now"));
  CHECK(simgr_test::read_bytes(folder.file("now")) == length + header + data);
}
