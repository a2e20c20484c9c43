// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

namespace detail {

/// Lets rows of two codes trade places as long as both together gain, every pair of codes in turn.
inline void trade_places(MatrixArg<float> distances, std::vector<std::int32_t>& chosen) {
  const Index codes = distances.cols();
  std::vector<std::vector<Index>> members(static_cast<std::size_t>(codes));
  for (std::size_t row = 0; row < chosen.size(); ++row) {
    members[static_cast<std::size_t>(chosen[row])].push_back(static_cast<Index>(row));
  }
  // Of the rows at `from`, the place of the one that gains most at `to`, and its gain.
  const auto keenest = [&](Index from, Index to) {
    const auto& rows = members[static_cast<std::size_t>(from)];
    std::pair<float, std::size_t> best{-std::numeric_limits<float>::infinity(), 0};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const float gain = distances(rows[i], from) - distances(rows[i], to);
      best = gain > best.first ? std::pair(gain, i) : best;
    }
    return best;
  };
  bool traded = true;
  for (int sweep = 0; sweep < 4 && traded; ++sweep) {
    traded = false;
    for (Index a = 0; a < codes; ++a) {
      for (Index b = a + 1; b < codes; ++b) {
        while (true) {
          const auto [gain, i] = keenest(a, b);
          const auto [other_gain, j] = keenest(b, a);
          if (!(gain + other_gain > 1e-6f * std::max(std::abs(gain), std::abs(other_gain)))) {
            break;
          }
          Index &row = members[static_cast<std::size_t>(a)][i],
                &other = members[static_cast<std::size_t>(b)][j];
          chosen[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(b);
          chosen[static_cast<std::size_t>(other)] = static_cast<std::int32_t>(a);
          std::swap(row, other);
          traded = true;
        }
      }
    }
  }
}

}  // namespace detail

/// One code a row with all codes used evenly: every code gets rows / codes of them, rounded down or
/// up, at a small sum of distances.
///
/// The row that would lose most by not getting its nearest open code (the regret: its second nearest
/// open one is that much farther) is served first; a code that is full closes, and those who wanted
/// it look again. Then rows of two codes trade places while that helps. No flow solver: the sum is
/// the optimum for two codes, and near it for more.
///
/// Shapes   distances [rows, codes] → [rows]
/// Cost     O(rows · (codes + log(rows))) a sweep of trades, of which there are four at most, and
///          O(codes) whenever a code closes for a row that wanted it
/// Results  a pure function of the distances; ties to the lower row and the lower code
inline std::vector<std::int32_t> balanced_assignment(MatrixArg<float> distances) {
  struct Wish {
    float regret;
    Index row;
    std::int32_t code, second;  // the nearest open codes; second negative: there is no other
    bool operator<(const Wish& other) const noexcept {
      return regret != other.regret ? regret < other.regret : row > other.row;
    }
  };
  const Index rows = distances.rows(), codes = distances.cols();
  const Index floor = rows / codes;
  Index larger = rows % codes;  // codes that may take one more
  std::vector<Index> taken(static_cast<std::size_t>(codes));
  std::vector<bool> open(static_cast<std::size_t>(codes), true);
  const auto wish_of = [&](Index row) {
    const auto at = distances.row(row);
    Wish wish{0, row, -1, -1};
    for (Index c = 0; c < codes; ++c) {
      if (!open[static_cast<std::size_t>(c)]) {
        continue;
      }
      const auto code = static_cast<std::int32_t>(c);
      if (wish.code < 0 || at[c] < at[wish.code]) {
        wish.second = wish.code;
        wish.code = code;
      } else if (wish.second < 0 || at[c] < at[wish.second]) {
        wish.second = code;
      }
    }
    wish.regret =
        wish.second < 0 ? std::numeric_limits<float>::infinity() : at[wish.second] - at[wish.code];
    return wish;
  };
  std::vector<std::int32_t> chosen(static_cast<std::size_t>(rows), -1);
  std::priority_queue<Wish> queue;
  for (Index row = 0; row < rows; ++row) { queue.push(wish_of(row)); }
  while (!queue.empty()) {
    const Wish wish = queue.top();
    queue.pop();
    const bool stale = !open[static_cast<std::size_t>(wish.code)] ||
                       (wish.second >= 0 && !open[static_cast<std::size_t>(wish.second)]);
    if (stale) {
      queue.push(wish_of(wish.row));
      continue;
    }
    chosen[static_cast<std::size_t>(wish.row)] = wish.code;
    const auto code = static_cast<std::size_t>(wish.code);
    ++taken[code];
    if (taken[code] > floor && --larger == 0) {
      for (std::size_t c = 0; c < open.size(); ++c) { open[c] = open[c] && taken[c] < floor; }
    }
    open[code] = taken[code] < floor + (larger > 0 ? 1 : 0);
  }
  detail::trade_places(distances, chosen);
  return chosen;
}

}  // namespace simgr::SIMGR_ABI::tokenizer
