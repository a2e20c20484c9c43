// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/executor.hpp>

#include <thread>
#include <vector>

#include <doctest/doctest.h>

using simgr::Index;

namespace {

/// What a host might bring: a thread for each piece.
struct ThreadEach {
  template <class F>
  void for_each(Index count, F&& f) const {
    std::vector<std::thread> threads;
    for (Index i = 0; i < count; ++i) {
      threads.emplace_back([&f, i] { f(i); });
    }
    for (std::thread& thread : threads) { thread.join(); }
  }
};

struct NotAnExecutor {
  void run(Index) {}
};

template <simgr::Executor E>
std::vector<Index> squares(const E& executor, Index count) {
  std::vector<Index> results(static_cast<std::size_t>(count));
  executor.for_each(count, [&](Index i) { results[static_cast<std::size_t>(i)] = i * i; });
  return results;
}

}  // namespace

TEST_CASE("the concept takes a host's own pool and refuses what is none") {
  static_assert(simgr::Executor<simgr::Serial>);
  static_assert(simgr::Executor<const simgr::Serial>);
  static_assert(simgr::Executor<ThreadEach>);
  static_assert(!simgr::Executor<NotAnExecutor>);
  static_assert(!simgr::Executor<int>);
}

TEST_CASE("Serial runs every piece once, in order, on the calling thread") {
  std::vector<Index> order;
  const std::thread::id caller = std::this_thread::get_id();
  simgr::Serial().for_each(5, [&](Index i) {
    order.push_back(i);
    CHECK(std::this_thread::get_id() == caller);
  });
  CHECK(order == std::vector<Index>{0, 1, 2, 3, 4});
}

TEST_CASE("no pieces, no calls") {
  simgr::Serial().for_each(0, [](Index) { FAIL("called"); });
}

TEST_SUITE("threads") {
  TEST_CASE("results do not depend on the executor") {
    CHECK(squares(ThreadEach{}, 17) == squares(simgr::Serial{}, 17));
  }
}
