// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/thread_pool.hpp>

#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::cpu::ThreadPool;

TEST_SUITE_BEGIN("threads");

TEST_CASE("every index runs exactly once on any number of threads") {
  for (const Index threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const Index count : {0, 1, 2, 7, 1000}) {
      std::vector<int> runs(static_cast<std::size_t>(count), 0);
      pool.for_each(count, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
      for (const int times : runs) { CHECK(times == 1); }
    }
  }
}

TEST_CASE("a pool of one runs on the caller alone, in order") {
  ThreadPool pool(1);
  std::vector<Index> order;
  const std::thread::id caller = std::this_thread::get_id();
  pool.for_each(4, [&](Index i) {
    order.push_back(i);
    CHECK(std::this_thread::get_id() == caller);
  });
  CHECK(order == std::vector<Index>{0, 1, 2, 3});
}

TEST_CASE("work spreads over as many threads as the pool has, the caller among them") {
  ThreadPool pool(3);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::atomic<int> arrived{0};
  // Three indices that wait for each other can only end on three threads.
  pool.for_each(3, [&](Index) {
    arrived.fetch_add(1);
    while (arrived.load() < 3) { std::this_thread::yield(); }
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  CHECK(seen.size() == 3);
  CHECK(seen.count(std::this_thread::get_id()) == 1);
}

TEST_CASE("what a task throws reaches the caller, and the pool works on") {
  for (const Index threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 50; ++round) {
      CHECK_THROWS_WITH_AS(pool.for_each(64,
                                         [](Index i) {
                                           if (i == 13) {
                                             throw std::runtime_error("thirteen");
                                           }
                                         }),
                           "thirteen", std::runtime_error);
      std::atomic<Index> sum{0};
      pool.for_each(64, [&](Index i) { sum.fetch_add(i); });
      CHECK(sum.load() == 64 * 63 / 2);
    }
  }
}

TEST_CASE("a task may use the pool it runs on") {
  for (const Index threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    std::atomic<Index> runs{0};
    pool.for_each(8, [&](Index) { pool.for_each(8, [&](Index) { runs.fetch_add(1); }); });
    CHECK(runs.load() == 64);
  }
}

TEST_CASE("several threads share one pool") {
  ThreadPool pool(2);
  std::vector<std::atomic<Index>> sums(3);
  std::vector<std::thread> callers;
  for (std::atomic<Index>& sum : sums) {
    callers.emplace_back([&pool, &sum] {
      for (int round = 0; round < 100; ++round) {
        pool.for_each(10, [&sum](Index i) { sum.fetch_add(i); });
      }
    });
  }
  for (std::thread& caller : callers) { caller.join(); }
  for (const std::atomic<Index>& sum : sums) { CHECK(sum.load() == 4500); }
}

TEST_CASE("writes of the tasks are seen by the caller without any lock") {
  ThreadPool pool(4);
  std::vector<int> values(64);
  for (int round = 1; round <= 200; ++round) {
    pool.for_each(64, [&](Index i) { values[static_cast<std::size_t>(i)] += 1; });
    for (const int value : values) { REQUIRE(value == round); }
  }
}

TEST_CASE("a number of threads that cannot be is refused") {
  CHECK_THROWS_WITH_AS(ThreadPool(0), "threads: expected 1 to 1024, found 0", simgr::ConfigError);
  CHECK_THROWS_AS(ThreadPool(-3), simgr::ConfigError);
  CHECK_THROWS_AS(ThreadPool(100000), simgr::ConfigError);
}

TEST_SUITE_END();
