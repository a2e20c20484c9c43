// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <simgr/analysis/item_transitions.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/sparse_rows.hpp>
#include <simgr/cpu/topk.hpp>
#include <simgr/data/user_items.hpp>
#include <simgr/train/counted_model.hpp>

// What a CountedModel counts.

namespace simgr::SIMGR_ABI::train {

/// How often every item was taken, and nothing else.
struct Popularity {
  using Config = NoFields;
  static constexpr HistoryRows reads = HistoryRows::none;
  static double prior(const Config&) noexcept { return 1; }
};

/// How alike two items are by who took both, of each item only to its nearest neighbours.
///
///   cosine(h, v) = users of both / (sqrt(users of h) sqrt(users of v) + shrink + 1e-6)
///   table(h, v)  = cosine(h, v) where h is one of the `neighbours` most alike of v, other than v, ties by
///                  id; otherwise 0
///
/// Who took an item twice counts once.
///
/// Cost    O(Σ_users items²); memory 12 bytes a user and item, and items · neighbours
/// Source  Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 2004, section 4;
///         neighbours, shrinkage and 1e-6 as in RecBole
struct ItemKnn {
  struct Config {
    Index neighbours = 10;
    double shrink = 32;
    double prior = 1e-3;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"neighbours", 1, 1e6, "items that may speak for an item"}, c.neighbours);
      f(Field{"shrink", 0, 1e9, "added below the cosine, so that few users say little"}, c.shrink);
      f(Field{"prior", 0, 1e9, "weight of an item's share in all interactions"}, c.prior);
    }
  };
  static constexpr HistoryRows reads = HistoryRows::each_item;
  static double prior(const Config& c) noexcept { return c.prior; }

  static SparseRows table(RaggedView<ItemId> histories, Index items, const Config& c) {
    const SparseRows taken = data::items_of_users(histories, items);
    const SparseRows takers = transposed(taken);
    const auto norm = [&](Index item) {
      return std::sqrt(static_cast<double>(takers.columns_of(item).size()));
    };
    SparseRows nearest;  // [items, items]: row v holds the neighbours of v
    nearest.cols = items;
    std::vector<Index> both(static_cast<std::size_t>(items), 0);
    std::vector<ItemId> met, kept(static_cast<std::size_t>(std::min(c.neighbours, items)));
    std::vector<float> alike(kept.size());
    std::vector<std::uint64_t> memory(kept.size());
    for (Index item = 0; item < items; ++item) {
      for (const std::int32_t user : takers.columns_of(item)) {
        for (const ItemId other : taken.columns_of(user)) {
          if (other != item && both[static_cast<std::size_t>(other)]++ == 0) {
            met.push_back(other);
          }
        }
      }
      cpu::BestItems best(memory);
      for (const ItemId other : met) {
        Index& users = both[static_cast<std::size_t>(other)];
        best.offer(static_cast<float>(static_cast<double>(users) /
                                      (norm(item) * norm(other) + c.shrink + 1e-6)),
                   other);
        users = 0;
      }
      met.clear();
      append_row(nearest, std::span(kept).first(static_cast<std::size_t>(best.finish(kept, alike))),
                 alike);
    }
    return transposed(nearest);
  }

private:
  static void append_row(SparseRows& rows, std::span<const ItemId> ids,
                         std::span<const float> values) {
    std::vector<std::size_t> order(ids.size());
    for (std::size_t i = 0; i < order.size(); ++i) { order[i] = i; }
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
    for (const std::size_t i : order) {
      rows.columns.push_back(ids[i]);
      rows.values.push_back(values[i]);
    }
    rows.offsets.push_back(rows.entries());
  }
};

/// How often v stood right behind h in a training history.
///
/// @tparam rows  the last item of a history, which is a Markov chain of first order, or each item
template <HistoryRows rows>
struct Successors {
  struct Config {
    double prior = 1;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"prior", 0, 1e9,
              "transitions that an item's share in all interactions counts for; 0: ids order ties"},
        c.prior);
    }
  };
  static constexpr HistoryRows reads = rows;
  static double prior(const Config& c) noexcept { return c.prior; }
  static SparseRows table(RaggedView<ItemId> histories, Index items, const Config&) {
    const analysis::ItemTransitions counted = analysis::count_transitions(histories, items);
    SparseRows counts;
    counts.cols = items;
    counts.offsets = counted.rows.offsets;
    for (const analysis::Transition& pair : counted.rows.values) {
      counts.columns.push_back(pair.item);
      counts.values.push_back(static_cast<float>(pair.count));
    }
    return counts;
  }
};
struct MarkovChain : Successors<HistoryRows::last_item> {};
struct OneHop : Successors<HistoryRows::each_item> {};

}  // namespace simgr::SIMGR_ABI::train
