// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI::analysis {

/// That an item was met `hops` places or fewer from another one, and how often.
struct Transition {
  ItemId item = 0;
  std::int32_t hops = 1;  // the smallest distance of the two, 1: one directly after the other
  Index count = 0;        // at all distances that were read

  friend bool operator==(const Transition&, const Transition&) = default;
};

/// What came after each item, in compressed rows. Memory 16 bytes a distinct pair.
struct ItemTransitions {
  Ragged<Transition> rows{};  // [items], each by hops, then by id
  Index hops = 1;             // the longest distance that was read

  Index items() const noexcept { return rows.sequences(); }
  /// Distinct ordered pairs.
  Index distinct() const noexcept { return rows.tokens(); }
  std::span<const Transition> operator[](ItemId item) const noexcept { return rows[item]; }
};

/// Counts the pairs (h, v) of which v follows h in a sequence at a distance of `hops` or less. An item
/// that follows itself counts like any other. Ids are trusted: 0 to items - 1.
///
///   count(h -> v) = # { (u, t, d) : s_u[t] = h, s_u[t + d] = v, 1 <= d <= hops }
///
/// Cost    O(tokens · hops · log), 8 bytes a pair besides the result
/// Errors  ConfigError: hops outside of 1 to 255
inline ItemTransitions count_transitions(RaggedView<ItemId> sequences, Index items,
                                         Index hops = 1) {
  if (hops < 1 || hops > 255) {
    SIMGR_THROW(ConfigError("hops: expected 1 to 255, found " + std::to_string(hops)));
  }
  std::vector<Index> begins(static_cast<std::size_t>(items) + 1);
  const auto each_pair = [&](auto&& f) {
    for (Index s = 0; s < sequences.sequences(); ++s) {
      const std::span<const ItemId> sequence = sequences[s];
      for (std::size_t t = 0; t < sequence.size(); ++t) {
        const std::size_t end = std::min(sequence.size(), t + 1 + static_cast<std::size_t>(hops));
        for (std::size_t next = t + 1; next < end; ++next) {
          f(static_cast<std::size_t>(sequence[t]), sequence[next], next - t);
        }
      }
    }
  };
  each_pair([&](std::size_t from, ItemId, std::size_t) { ++begins[from + 1]; });
  for (std::size_t i = 1; i < begins.size(); ++i) { begins[i] += begins[i - 1]; }
  std::vector<std::uint64_t> pairs(static_cast<std::size_t>(begins.back()));  // item, then distance
  std::vector<Index> ends(begins.begin(), begins.end() - 1);
  each_pair([&](std::size_t from, ItemId to, std::size_t distance) {
    pairs[static_cast<std::size_t>(ends[from]++)] =
        static_cast<std::uint64_t>(to) << 8 | static_cast<std::uint64_t>(distance);
  });
  ItemTransitions result;
  result.hops = hops;
  std::vector<Transition> row;
  for (std::size_t item = 0; item + 1 < begins.size(); ++item) {
    const auto first = pairs.begin() + begins[item], last = pairs.begin() + begins[item + 1];
    std::sort(first, last);
    row.clear();
    for (auto pair = first; pair != last; ++pair) {
      const auto to = static_cast<ItemId>(*pair >> 8);
      if (row.empty() || row.back().item != to) {
        row.push_back({to, static_cast<std::int32_t>(*pair & 255), 0});
      }
      ++row.back().count;
    }
    std::stable_sort(row.begin(), row.end(),
                     [](const Transition& a, const Transition& b) { return a.hops < b.hops; });
    result.rows.push_back(row);
  }
  return result;
}

/// What came before each item: the same pairs by their second.
inline ItemTransitions reversed(const ItemTransitions& transitions) {
  const Index items = transitions.items();
  ItemTransitions result;
  result.hops = transitions.hops;
  auto& [values, offsets] = result.rows;
  offsets.assign(static_cast<std::size_t>(items) + 1, 0);
  for (const Transition& pair : transitions.rows.values) {
    ++offsets[static_cast<std::size_t>(pair.item) + 1];
  }
  for (std::size_t i = 1; i < offsets.size(); ++i) { offsets[i] += offsets[i - 1]; }
  values.resize(transitions.rows.values.size());
  std::vector<Index> ends(offsets.begin(), offsets.end() - 1);
  for (std::int32_t hops = 1; hops <= transitions.hops; ++hops) {
    for (Index from = 0; from < items; ++from) {
      for (const Transition& pair : transitions.rows[from]) {
        if (pair.hops == hops) {
          values[static_cast<std::size_t>(ends[static_cast<std::size_t>(pair.item)]++)] = {
              static_cast<ItemId>(from), hops, pair.count};
        }
      }
    }
  }
  return result;
}

}  // namespace simgr::SIMGR_ABI::analysis
