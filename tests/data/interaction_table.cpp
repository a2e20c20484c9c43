// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/interaction_table.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

TEST_CASE("rows are grouped by user and sorted by time as a stable sort does it") {
  for (const bool timed : {true, false}) {
    simgr::Rng rng(9);
    simgr::data::InteractionTable table(timed);
    std::map<std::int32_t, std::vector<std::pair<std::int64_t, std::int32_t>>> expected;
    for (int row = 0; row < 600000; ++row) {  // more than two pieces
      const bool heavy = rng.below(10) == 0;
      const auto user =
          table.users.number(static_cast<std::uint64_t>(heavy ? rng.below(3) : rng.below(50000)));
      const auto item = table.items.number(static_cast<std::uint64_t>(rng.below(1000)));
      const std::int64_t time = rng.below(200) - 100;
      table.add(user, item, time);
      expected[user].emplace_back(time, item);
    }
    CHECK(table.rows() == 600000);
    const auto grouped = table.group();
    CHECK(grouped.users() == static_cast<simgr::Index>(expected.size()));
    CHECK(grouped.items == 1000);
    CHECK(grouped.timed() == timed);
    bool same = true;
    for (auto& [user, rows] : expected) {
      if (timed) {
        std::stable_sort(rows.begin(), rows.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
      }
      const auto history = grouped.histories[user];
      same = same && history.size() == rows.size();
      for (std::size_t i = 0; same && i < rows.size(); ++i) {
        same =
            history[i] == rows[i].second && (!timed || grouped.times_of(user)[i] == rows[i].first);
      }
    }
    CHECK(same);
  }
}
