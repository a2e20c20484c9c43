// SPDX-License-Identifier: Apache-2.0
#include <simgr/serving.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/sasrec.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;
using Served = simgr::baselines::SasRec;

std::shared_ptr<const Served> model_of(std::uint64_t seed) {
  return std::make_shared<const Served>(
      simgr::Catalogue{.items = 50},
      Served::Config{.encoder = {.width = 8, .layers = 1, .heads = 2, .max_length = 8}}, seed);
}

TEST_CASE("a slot gives what was put in last, and lets go of what was replaced") {
  simgr::ModelSlot<int> slot;
  CHECK(slot.load() == nullptr);
  const auto first = std::make_shared<const int>(1);
  slot.store(first);
  const auto taken = slot.load();
  slot.store(std::make_shared<const int>(2));
  CHECK(*taken == 1);
  CHECK(*slot.load() == 2);
  CHECK(first.use_count() == 2);  // first and taken, no longer the slot
}

}  // namespace

TEST_SUITE("threads") {
  TEST_CASE("16 threads get whole answers of one model while another thread swaps models") {
    constexpr std::uint64_t versions = 4;
    const std::vector<ItemId> history = {3, 1, 4, 1, 5};
    std::vector<std::vector<simgr::Recommended>> expected;
    for (std::uint64_t seed = 1; seed <= versions; ++seed) {
      expected.push_back(model_of(seed)->recommend(history, 5));
    }
    simgr::ModelSlot<Served> slot(model_of(1));
    std::atomic<int> wrong = 0, begun = 0;
    std::atomic<bool> stop = false;
    const auto serve = [&] {
      ++begun;
      std::vector<simgr::Recommended> list(5);
      const auto same = [&](const std::vector<simgr::Recommended>& other) {
        for (std::size_t i = 0; i < list.size(); ++i) {
          if (list[i].item != other[i].item || list[i].score != other[i].score) {
            return false;
          }
        }
        return true;
      };
      for (int request = 0; request < 40 || !stop; ++request) {
        const auto model = slot.load();
        const Index found = model->recommend(history, {}, list);
        bool known = false;
        for (const auto& version : expected) { known = known || same(version); }
        wrong += found == 5 && known ? 0 : 1;
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) { threads.emplace_back(serve); }
    while (begun < 16) { std::this_thread::yield(); }
    for (std::uint64_t swap = 0; swap < 40; ++swap) { slot.store(model_of(1 + swap % versions)); }
    stop = true;
    for (std::thread& thread : threads) { thread.join(); }
    CHECK(wrong == 0);
  }
}
