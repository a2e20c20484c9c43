// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/cpu/rank_products.hpp>
#include <simgr/ranker/exhaustive.hpp>

// Which items have to do with which: lists of neighbours, best first, that tasks of training read
// (Catalogue::relations). An item without neighbours has an empty list, and no task has an example of it.
//
// Source  IIRG (arXiv 2606.17276)

namespace simgr::SIMGR_ABI::train {

/// How near two items of a history stand, and how many neighbours are kept.
struct CoOccurrence {
  Index window = 5;  // places to either side; all count the same
  Index keep = 10;   // neighbours of an item, at most

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"window", 1, 1e6, "places to either side of an item that count, all the same"},
      c.window);
    f(Field{"keep", 1, 1e6, "neighbours of an item that are kept"}, c.keep);
  }
};

/// Calls visit(item, neighbours) for every item, ascending: all others that stand within `window`
/// places of it in some history, and how often; in any order.
///
///   count(j) = #{ (a, b) : t[a] = item, t[b] = j, 1 <= |a - b| <= window, of all histories t }
///
/// Cost    O(interactions · window), in memory of the interactions and one number for each item
/// Errors  ConfigError: an impossible number;  DataError: an id that is no item
struct CountedNeighbour {
  ItemId item = 0;
  Index count = 0;
};
template <class Visit>
void visit_co_occurrences(RaggedView<ItemId> histories, Index items, Index window, Visit&& visit) {
  if (window < 1) {
    SIMGR_THROW(ConfigError("window: expected at least 1, found " + std::to_string(window)));
  }
  std::vector<Index> starts(static_cast<std::size_t>(items) + 1, 0);
  for (const ItemId item : histories.values) {
    if (item < 0 || item >= items) {
      SIMGR_THROW(DataError("histories: item " + std::to_string(item) + " is not one of 0 to " +
                            std::to_string(items - 1)));
    }
    ++starts[static_cast<std::size_t>(item) + 1];
  }
  for (std::size_t i = 1; i < starts.size(); ++i) { starts[i] += starts[i - 1]; }
  struct Place {
    Index at, begin, end;  // of the history
  };
  std::vector<Place> places(histories.values.size());
  std::vector<Index> next(starts.begin(), starts.end() - 1);
  for (Index s = 0; s < histories.sequences(); ++s) {
    const Index begin = histories.offsets[static_cast<std::size_t>(s)],
                end = histories.offsets[static_cast<std::size_t>(s) + 1];
    for (Index at = begin; at < end; ++at) {
      const auto item = static_cast<std::size_t>(histories.values[static_cast<std::size_t>(at)]);
      places[static_cast<std::size_t>(next[item]++)] = {at, begin, end};
    }
  }
  std::vector<Index> counts(static_cast<std::size_t>(items), 0);
  std::vector<CountedNeighbour> found;
  for (Index item = 0; item < items; ++item) {
    found.clear();
    for (Index i = starts[static_cast<std::size_t>(item)];
         i < starts[static_cast<std::size_t>(item) + 1]; ++i) {
      const Place place = places[static_cast<std::size_t>(i)];
      const Index last = std::min(place.end, place.at + window + 1);
      for (Index b = std::max(place.begin, place.at - window); b < last; ++b) {
        const ItemId other = histories.values[static_cast<std::size_t>(b)];
        if (other != item && counts[static_cast<std::size_t>(other)]++ == 0) {
          found.push_back({other, 0});
        }
      }
    }
    for (CountedNeighbour& each : found) {
      each.count = std::exchange(counts[static_cast<std::size_t>(each.item)], 0);
    }
    visit(static_cast<ItemId>(item), std::span<CountedNeighbour>(found));
  }
}

/// Of every item, those that stand near it in histories most often; of equals the more frequent ones
/// first, then the smaller ids.
///
/// @param histories  what may be known: a split's training part. Its authors take all but the test
///                   items (split.test.histories), whose validation items then are taught as neighbours
///
/// Source  IIRG's released pipeline: window, counts and order
inline Ragged<ItemId> collaborative_neighbours(RaggedView<ItemId> histories, Index items,
                                               const CoOccurrence& options = {}) {
  if (const std::string sentence = out_of_range(options); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  std::vector<Index> frequency(static_cast<std::size_t>(items), 0);
  for (const ItemId item : histories.values) {
    if (item >= 0 && item < items) {  // others are told below
      ++frequency[static_cast<std::size_t>(item)];
    }
  }
  const auto before = [&](const CountedNeighbour& a, const CountedNeighbour& b) {
    const Index fa = frequency[static_cast<std::size_t>(a.item)],
                fb = frequency[static_cast<std::size_t>(b.item)];
    return a.count != b.count ? a.count > b.count : fa != fb ? fa > fb : a.item < b.item;
  };
  Ragged<ItemId> lists;
  std::vector<ItemId> list;
  visit_co_occurrences(
      histories, items, options.window, [&](ItemId, std::span<CountedNeighbour> found) {
        const auto kept = std::min(std::ssize(found), options.keep);
        std::partial_sort(found.begin(), found.begin() + kept, found.end(), before);
        list.clear();
        for (const CountedNeighbour& each : found.first(static_cast<std::size_t>(kept))) {
          list.push_back(each.item);
        }
        lists.push_back(list);
      });
  return lists;
}

/// Fills lists of fewer than `keep`: along an item's semantic neighbours, the nearest first, come their
/// lists, without the item and what is listed already. Items are filled in the order of their ids, and
/// later ones borrow from what earlier ones were given. What finds nothing stays short, or empty.
///
/// Source  IIRG's released pipeline
inline Ragged<ItemId> backfilled(const Ragged<ItemId>& collaborative,
                                 const Ragged<ItemId>& semantic, Index keep) {
  const Index items = collaborative.sequences();
  if (semantic.sequences() != items) {
    SIMGR_THROW(ShapeError("backfill: expected semantic neighbours of " + std::to_string(items) +
                           " items, found those of " + std::to_string(semantic.sequences())));
  }
  Ragged<ItemId> filled;  // of the items before
  std::vector<ItemId> list;
  for (Index item = 0; item < items; ++item) {
    const std::span<const ItemId> own = collaborative[item];
    list.assign(own.begin(), own.end());
    for (const ItemId near : semantic[item]) {
      if (std::ssize(list) >= keep) {
        break;
      }
      for (const ItemId other : near < item ? filled[near] : collaborative[near]) {
        if (std::ssize(list) < keep && other != item &&
            std::find(list.begin(), list.end(), other) == list.end()) {
          list.push_back(other);
        }
      }
    }
    filled.push_back(list);
  }
  return filled;
}

/// Of every item, the others whose vectors have the largest cosine with its own, exactly; of equals the
/// smaller ids first. A vector of zeros says nothing: such an item has no list and is in none.
///
/// Shapes   vectors [items, width]
/// Cost     O(items² · width); memory of the vectors once more, and of the lists
/// Results  the same bits on any executor
/// Errors   DataError: rows that are not finite
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> Ragged<ItemId>
  semantic_neighbours(MatrixArg<float> vectors, Index keep, E&& executor = E{}) {
    const Index items = vectors.rows(),
                places = std::clamp<Index>(keep, 0, std::max<Index>(items - 1, 0));
    OwnedMatrix<float> directions(items, vectors.cols());
    std::vector<ItemId> own, nowhere;
    std::vector<Index> ends{0};
    for (Index item = 0; item < items; ++item) {
      double squares = 0;
      for (const float value : vectors.row(item)) {
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
      if (!std::isfinite(squares)) {
        SIMGR_THROW(DataError("vectors: item " + std::to_string(item) +
                              ": found a number that is not finite"));
      }
      if (squares == 0) {
        nowhere.push_back(static_cast<ItemId>(item));
      }
      const double length = std::sqrt(squares);
      for (Index k = 0; k < vectors.cols(); ++k) {
        directions.view()(item, k) =
            squares > 0 ? static_cast<float>(static_cast<double>(vectors(item, k)) / length) : 0.0f;
      }
      own.push_back(static_cast<ItemId>(item));
      ends.push_back(item + 1);
    }
    Ragged<ItemId> denied;
    denied.push_back(nowhere);
    constexpr Index at_a_time = 256;
    OwnedMatrix<ItemId> ids(items, places);
    std::vector<Index> found(static_cast<std::size_t>(items), 0);
    executor.for_each((items + at_a_time - 1) / at_a_time, [&](Index block) {
      const Index first = block * at_a_time, count = std::min(at_a_time, items - first);
      Arena arena;
      cpu::Context ctx{arena};
      // An item is its own history, and is not listed.
      const ranker::ItemFilter filter{
          ranker::Seen::remove,
          {own, std::span(ends).subspan(static_cast<std::size_t>(first),
                                        static_cast<std::size_t>(count) + 1)},
          denied};
      ranker::rank_products(ctx, std::as_const(directions).view().slice(first, count),
                            std::as_const(directions).view(), filter,
                            ids.view().slice(first, count), ctx.take<float>(count, places),
                            Vector<Index>(found.data() + first, {count}));
    });
    Ragged<ItemId> lists;
    for (Index item = 0; item < items; ++item) {
      const bool somewhere =
          !std::binary_search(nowhere.begin(), nowhere.end(), own[static_cast<std::size_t>(item)]);
      const Index listed = somewhere ? found[static_cast<std::size_t>(item)] : 0;
      lists.push_back(
          std::as_const(ids).view().row(item).span().first(static_cast<std::size_t>(listed)));
    }
    return lists;
  }

}  // namespace simgr::SIMGR_ABI::train
