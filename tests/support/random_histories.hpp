// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <vector>

#include <simgr/core/ragged.hpp>

namespace simgr_test {

/// Histories of 0 to `longest` items, of which a few are much more frequent; items repeat.
inline simgr::Ragged<simgr::ItemId> random_histories(unsigned seed, int users, int items,
                                                     int longest) {
  std::mt19937 random(seed);
  simgr::Ragged<simgr::ItemId> histories;
  for (int u = 0; u < users; ++u) {
    std::vector<simgr::ItemId> history(random() % static_cast<unsigned>(longest + 1));
    for (simgr::ItemId& item : history) {
      const unsigned range = random() % 3 == 0 ? 3u : static_cast<unsigned>(items);
      item = static_cast<simgr::ItemId>(random() % range);
    }
    histories.push_back(history);
  }
  return histories;
}

}  // namespace simgr_test
