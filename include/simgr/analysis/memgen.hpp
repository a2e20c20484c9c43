// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/analysis/item_transitions.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI::analysis {

/// What ties an item that never directly followed the last one to the input all the same.
enum class Generalization { substitutability, symmetry, transitivity, second_order_symmetry };
inline constexpr std::array<const char*, 4> names_of_generalizations{
    "substitutability", "symmetry", "transitivity", "second_order_symmetry"};

/// What one item is to an input. Not memorized and without hops: uncategorized.
struct MemGenLabel {
  bool memorized = false;
  std::array<std::int32_t, 4> hops{};  // by Generalization, the smallest; 0: not tied so

  bool generalized() const noexcept { return hops != std::array<std::int32_t, 4>{}; }
  friend bool operator==(const MemGenLabel&, const MemGenLabel&) = default;
};

/// Labels items, targets or recommended ones, by the training transitions between them and the last
/// items of the input, by hops k up to those that were counted.
///
///   F_k[u]           items that followed u within k places in training; B_k the reverse
///   memorization     i in F_1[the last item]; such an item has no other label
///   otherwise, at hop k, for any u of the last k items of the input, where it has k:
///   substitutability          k >= 2 and i in F_k[u]
///   symmetry                  u in F_k[i]
///   transitivity              F_k[u] meets B_k[i]
///   second-order symmetry     F_k[i] meets B_k[u], or F_k[i] meets F_k[u], or B_k[i] meets B_k[u]
///
/// Cost    for an input the rows of its last items, for an item its rows up to the hop that decides;
///         2 bytes an item once
/// Source  "How Well Does Generative Recommendation Generalize?", arXiv 2603.19809
class MemGen {
public:
  explicit MemGen(ItemTransitions after)
      : after_(std::move(after)), before_(reversed(after_)),
        forward_(static_cast<std::size_t>(after_.items()), far),
        backward_(static_cast<std::size_t>(after_.items()), far) {
    if (after_.hops >= far) {
      SIMGR_THROW(ConfigError("hops: expected at most 254, found " + std::to_string(after_.hops)));
    }
  }

  Index hops() const noexcept { return after_.hops; }
  const ItemTransitions& after() const noexcept { return after_; }

  /// Reads an input, oldest item first. Ids are trusted.
  void read(std::span<const ItemId> input) {
    for (const ItemId item : near_) {
      forward_[static_cast<std::size_t>(item)] = backward_[static_cast<std::size_t>(item)] = far;
    }
    near_.clear();
    most_ = std::min(hops(), static_cast<Index>(input.size()));
    for (Index place = 1; place <= most_; ++place) {  // from the end
      const ItemId item = input[input.size() - static_cast<std::size_t>(place)];
      mark(after_[item], forward_, place);
      mark(before_[item], backward_, place);
    }
  }

  /// The label of an item for the input that was read last.
  MemGenLabel label(ItemId item) const noexcept {
    MemGenLabel result;
    const std::int32_t direct = forward_[static_cast<std::size_t>(item)];
    if (direct == 1) {  // of the last item: of others it would be 2 at least
      result.memorized = true;
      return result;
    }
    std::int32_t through = far, second = far;
    for (const Transition& next : after_[item]) {
      if (next.hops >= second) {
        break;
      }
      const auto x = static_cast<std::size_t>(next.item);
      second =
          std::min(second, std::max<std::int32_t>(next.hops, std::min(forward_[x], backward_[x])));
    }
    for (const Transition& last : before_[item]) {
      if (last.hops >= std::max(through, second)) {
        break;
      }
      const auto x = static_cast<std::size_t>(last.item);
      through = std::min(through, std::max<std::int32_t>(last.hops, forward_[x]));
      second = std::min(second, std::max<std::int32_t>(last.hops, backward_[x]));
    }
    const std::int32_t found[] = {direct, backward_[static_cast<std::size_t>(item)], through,
                                  second};
    for (std::size_t logic = 0; logic < result.hops.size(); ++logic) {
      result.hops[logic] = found[logic] <= most_ ? found[logic] : 0;
    }
    return result;
  }

private:
  static constexpr std::uint8_t far = 255;

  /// The smallest hop at which each item of a row meets an input item at this place from the end.
  void mark(std::span<const Transition> row, std::vector<std::uint8_t>& nearest, Index place) {
    for (const Transition& pair : row) {
      std::uint8_t& hop = nearest[static_cast<std::size_t>(pair.item)];
      hop = std::min(hop, static_cast<std::uint8_t>(std::max<Index>(place, pair.hops)));
      near_.push_back(pair.item);
    }
  }

  ItemTransitions after_, before_;
  std::vector<std::uint8_t> forward_, backward_;  // [items], `far` but for those of near_
  std::vector<ItemId> near_;
  Index most_ = 0;
};

/// How many items have which label.
struct MemGenCounts {
  Index items = 0, memorization = 0, generalization = 0, uncategorized = 0;
  std::array<std::vector<Index>, 4> by_hop;  // by Generalization, [hops]: smallest hop 1, 2 …

  void add(const MemGenLabel& label) {
    ++items;
    memorization += label.memorized ? 1 : 0;
    generalization += label.generalized() ? 1 : 0;
    uncategorized += !label.memorized && !label.generalized() ? 1 : 0;
    for (std::size_t logic = 0; logic < by_hop.size(); ++logic) {
      if (label.hops[logic] > 0) {
        ++by_hop[logic][static_cast<std::size_t>(label.hops[logic] - 1)];
      }
    }
  }
  /// A part of all items; NaN where there are none.
  double share(Index count) const noexcept {
    return static_cast<double>(count) / static_cast<double>(items);
  }
};

/// Labels the first k items of each list for the input of the same place: with targets as lists of one,
/// what a test asks for; with recommended items, what a system answers.
///
/// Errors  ShapeError: other than one list an input
inline MemGenCounts count_labels(MemGen& memgen, RaggedView<ItemId> inputs,
                                 RaggedView<ItemId> lists, Index k) {
  if (inputs.sequences() != lists.sequences()) {
    SIMGR_THROW(ShapeError("labels: expected " + std::to_string(inputs.sequences()) +
                           " lists, found " + std::to_string(lists.sequences())));
  }
  MemGenCounts counts;
  counts.by_hop.fill(std::vector<Index>(static_cast<std::size_t>(memgen.hops())));
  for (Index u = 0; u < inputs.sequences(); ++u) {
    memgen.read(inputs[u]);
    const std::span<const ItemId> list = lists[u];
    const auto read =
        static_cast<std::size_t>(std::clamp<Index>(k, 0, static_cast<Index>(list.size())));
    for (const ItemId item : list.first(read)) { counts.add(memgen.label(item)); }
  }
  return counts;
}

}  // namespace simgr::SIMGR_ABI::analysis
