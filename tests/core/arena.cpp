// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/arena.hpp>

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <support/allocations.hpp>
#include <simgr/core/rng.hpp>

using simgr::Arena;
using simgr::Index;

namespace {

bool aligned(const void* memory) {
  return reinterpret_cast<std::uintptr_t>(memory) % Arena::alignment == 0;
}

}  // namespace

TEST_CASE("everything an arena hands out is aligned to 64 bytes") {
  Arena arena;
  for (Index count = 1; count < 200; ++count) {
    CHECK(aligned(arena.take_elements<char>(count)));
    CHECK(aligned(arena.take_elements<double>(count)));
  }
}

TEST_CASE("pieces never overlap, within a block and across blocks") {
  Arena arena(256);
  simgr::Rng rng(1);
  std::vector<std::pair<unsigned char*, Index>> pieces;
  for (int i = 0; i < 300; ++i) {
    const Index bytes = 1 + rng.below(5000);
    auto* memory = arena.take_elements<unsigned char>(bytes);
    std::memset(memory, i % 251, static_cast<std::size_t>(bytes));
    pieces.emplace_back(memory, bytes);
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto [memory, bytes] = pieces[i];
    const auto mark = static_cast<unsigned char>(i % 251);
    CHECK(memory[0] == mark);
    CHECK(memory[bytes - 1] == mark);
  }
}

TEST_CASE("a view from an arena has the shape that was asked for") {
  Arena arena;
  const simgr::Matrix<float> matrix = arena.take<float, 2>({3, 5});
  CHECK(matrix.shape() == simgr::Shape<2>{3, 5});
  matrix(2, 4) = 1;  // the last element is ours: address sanitizer looks on
  CHECK(arena.take<float, 2>({0, 5}).empty());
}

TEST_CASE("a scope gives back what was taken in it, and nothing else") {
  Arena arena(4096);
  int* kept = arena.take_elements<int>(10);
  *kept = 42;
  int* inside = nullptr;
  {
    const Arena::Scope scope(arena);
    inside = arena.take_elements<int>(10);
    CHECK(inside != kept);
  }
  CHECK(arena.take_elements<int>(10) == inside);
  CHECK(*kept == 42);
}

TEST_CASE("a scope that outgrew its block reuses the further blocks the next time") {
  Arena arena(64);
  const auto visit = [&arena] {
    const Arena::Scope scope(arena);
    for (int i = 0; i < 20; ++i) { arena.take_elements<std::byte>(50'000); }
  };
  visit();
  const std::size_t capacity = arena.capacity();
  const std::size_t before = simgr_test::allocations();
  for (int i = 0; i < 5; ++i) { visit(); }
  CHECK(simgr_test::allocations() == before);
  CHECK(arena.capacity() == capacity);
}

TEST_CASE("the high-water mark counts what lived at once, not what was taken in all") {
  Arena arena;
  for (int i = 0; i < 100; ++i) {
    const Arena::Scope scope(arena);
    arena.take_elements<std::byte>(1000);
  }
  CHECK(arena.high_water() == 1024);
  arena.take_elements<std::byte>(1000);
  arena.take_elements<std::byte>(1000);
  CHECK(arena.high_water() == 2048);
}

TEST_CASE("after one step that grew the arena, equal steps allocate nothing") {
  Arena arena;
  const auto step = [&arena] {
    arena.reset();
    arena.take<float, 2>({300, 64});
    for (int layer = 0; layer < 4; ++layer) {
      arena.take<float, 2>({300, 256});
      const Arena::Scope scope(arena);
      arena.take<double, 2>({300, 300});
    }
  };
  step();
  arena.reset();  // here the capacity becomes one block of the high-water mark
  const std::size_t before = simgr_test::allocations();
  for (int i = 0; i < 10; ++i) { step(); }
  CHECK(simgr_test::allocations() == before);
  CHECK(arena.capacity() >= arena.high_water());
}

TEST_CASE("a larger step after smaller ones still succeeds") {
  Arena arena;
  for (Index rows = 1; rows < 2000; rows *= 3) {
    arena.reset();
    const auto matrix = arena.take<float, 2>({rows, 64});
    for (float& value : matrix) { value = 1; }
    CHECK(matrix(rows - 1, 63) == 1.0f);
  }
}

TEST_CASE("an arena that was moved from can be used again") {
  Arena first(1024);
  first.take_elements<int>(200);
  const Arena second = std::move(first);
  CHECK(second.capacity() == 1024);
  int* memory = first.take_elements<int>(30'000);
  memory[29'999] = 1;  // address sanitizer looks on
  CHECK(aligned(memory));
}
