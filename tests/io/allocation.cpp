// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/checkpoint.hpp>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/temporary_folder.hpp>

namespace {

std::atomic<std::size_t> allocated{0};  // bytes ever asked for, freed ones included

void* counted(std::size_t bytes) {
  allocated += bytes;
  return std::malloc(bytes > 0 ? bytes : 1);
}

}  // namespace

// The whole executable allocates through these. g++ takes the pair for a mismatch once it inlines
// one of them.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t bytes) {
  if (void* memory = counted(bytes)) {
    return memory;
  }
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted(bytes);
}
void* operator new[](std::size_t bytes) {
  return operator new(bytes);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

/// Bytes that reading this file allocates.
std::size_t cost(const std::string& path, bool& accepted) {
  const std::size_t before = allocated;
  accepted = simgr::io::try_read_safetensors(path).ok();
  return allocated - before;
}

}  // namespace

TEST_CASE("a file of 1 KiB never makes the reader allocate more than 1 MiB (R6)") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("x");
  const std::string shapes[] = {
      R"({"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}})",
      R"({"a":{"dtype":"U8","shape":[1000000,1000000],"data_offsets":[0,1000000000000]}})",
      R"({"a":{"dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,8]}})",
      std::string(1000, '['),
      "{\"a\":" + std::string(900, '[') + "}",
      "{\"a\":" + std::string(900, '9') + "}",
      R"({"a":{"dtype":"U8","shape":[)" + std::string(400, '1') + R"(],"data_offsets":[0,1]}})",
  };
  std::size_t worst = 0;
  for (const std::string& header : shapes) {
    for (const std::uint64_t claim :
         {std::uint64_t{header.size()}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
      std::string bytes(reinterpret_cast<const char*>(&claim), 8);
      bytes += header;
      bytes.resize(std::max<std::size_t>(bytes.size(), 1024), ' ');
      simgr_test::write_bytes(path, bytes);
      bool accepted = true;
      worst = std::max(worst, cost(path, accepted));
      CHECK_FALSE(accepted);
    }
  }
  CHECK(worst <= std::size_t{1} << 20);
  std::printf("safetensors: hostile files of 1 KiB allocated at most %zu bytes\n", worst);
}

TEST_CASE("reading a whole file allocates less than twice its size (R6)") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("x");
  const std::vector<float> values(500'000, 1.0f);
  simgr::io::CheckpointWriter writer;
  for (int i = 0; i < 20; ++i) {
    writer.add(
        "blocks." + std::to_string(i) + ".weight", {100, 250},
        std::span<const float>(values).subspan(static_cast<std::size_t>(i) * 25'000, 25'000));
  }
  writer.write(path);
  const auto size = static_cast<std::size_t>(std::filesystem::file_size(path));
  bool accepted = false;
  const std::size_t bytes = cost(path, accepted);
  CHECK(accepted);
  CHECK(bytes >= size - 8);  // the meter works
  CHECK(bytes <= 2 * size);
  const std::size_t before = allocated;
  CHECK(simgr::io::Checkpoint::try_read(path).ok());
  CHECK(allocated - before <= 2 * size);
  std::printf("safetensors: %zu bytes allocated for a file of %zu\n", bytes, size);

  simgr_test::write_bytes(path, std::string_view(simgr_test::read_bytes(path)).substr(0, size - 1));
  CHECK(cost(path, accepted) <= (std::size_t{1} << 20) + 4096);  // refused before the data
  CHECK_FALSE(accepted);
}
