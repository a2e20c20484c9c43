// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/tokenizer/collision.hpp>
#include <simgr/tokenizer/nearest_centroid.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// How often near items share digits: of an item and one of its nearest others by cosine, or of lists.
struct NeighbourAgreement {
  Index items = 0, neighbours = 0;  // pairs looked at: items · neighbours
  std::vector<double> digit;        // [digits], share of the pairs with this digit in common
  std::vector<double> chance;       // [digits], the same of two random items
  std::vector<double> prefix;       // [digits], with all digits up to this one in common
};

namespace detail {

/// Counts the digits that two items share: each alone, then all up to each.
inline void count_shared(MatrixArg<std::int32_t> codes, Index a, Index b, Vector<Index> same) {
  bool whole = true;
  for (Index digit = 0; digit < codes.cols(); ++digit) {
    const bool equal = codes(a, digit) == codes(b, digit);
    whole = whole && equal;
    same[digit] += equal ? 1 : 0;
    same[codes.cols() + digit] += whole ? 1 : 0;
  }
}

/// Turns counts [rows, 2 digits] of `pairs` pairs into shares.
inline void share_digits(const SemanticIds& ids, MatrixArg<Index> same, Index pairs,
                         NeighbourAgreement& found) {
  const Index items = ids.items(), digits = ids.digits();
  const auto all = static_cast<double>(std::max<Index>(pairs, 1));
  for (Index digit = 0; digit < digits; ++digit) {
    Index equal = 0, whole = 0;
    for (Index i = 0; i < same.rows(); ++i) {
      equal += same(i, digit);
      whole += same(i, digits + digit);
    }
    std::vector<double> count(
        static_cast<std::size_t>(ids.codes_per_digit[static_cast<std::size_t>(digit)]));
    for (Index item = 0; item < items; ++item) {
      count[static_cast<std::size_t>(ids.codes.view()(item, digit))] += 1;
    }
    double chance = 0;
    for (const double n : count) { chance += n * (n - 1); }
    found.digit.push_back(static_cast<double>(equal) / all);
    found.prefix.push_back(static_cast<double>(whole) / all);
    found.chance.push_back(chance / std::max(1.0, static_cast<double>(items * (items - 1))));
  }
}

}  // namespace detail

/// Measures lists of neighbours, of every item its first ones.
///
/// Shapes   lists: those of all items;  `neighbours` of the report is the most that one has
inline NeighbourAgreement neighbour_agreement(const SemanticIds& ids, RaggedView<ItemId> lists,
                                              Index neighbours) {
  SIMGR_ASSERT(lists.sequences() == ids.items(), "neighbour_agreement: shapes");
  NeighbourAgreement found;
  OwnedMatrix<Index> same(1, 2 * ids.digits());
  Index pairs = 0;
  for (Index item = 0; item < ids.items(); ++item) {
    const Index count = std::min(std::ssize(lists[item]), neighbours);
    for (Index n = 0; n < count; ++n) {
      detail::count_shared(ids.codes, item, lists[item][static_cast<std::size_t>(n)],
                           same.view().row(0));
    }
    found.items += count > 0 ? 1 : 0;
    found.neighbours = std::max(found.neighbours, count);
    pairs += count;
  }
  detail::share_digits(ids, same, pairs, found);
  return found;
}

/// Measures at most `sample` items, evenly spread, each with its nearest among all others.
///
/// Shapes   vectors [items, width], the rows in the order of ids
/// Cost     O(sample · items · width)
/// Results  the same bits on any executor
/// Errors   DataError: rows that are not finite
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>>
      NeighbourAgreement neighbour_agreement(const SemanticIds& ids, MatrixArg<float> vectors,
                                             Index neighbours = 10, Index sample = 2000,
                                             E&& executor = E{}) {
    check_vectors(vectors);
    SIMGR_ASSERT(vectors.rows() == ids.items(), "neighbour_agreement: shapes");
    const Index items = ids.items();
    NeighbourAgreement found;
    found.items = std::min(items, std::max<Index>(sample, 1));
    found.neighbours = std::clamp<Index>(neighbours, 0, items - 1);
    OwnedMatrix<float> directions(items, vectors.cols());
    for (Index item = 0; item < items; ++item) {
      const float length = std::sqrt(squared_length(vectors.row(item)));
      for (Index k = 0; k < vectors.cols(); ++k) {
        directions.view()(item, k) = length > 0 ? vectors(item, k) / length : 0.0f;
      }
    }
    OwnedMatrix<Index> same(found.items, 2 * ids.digits());  // counts of one item
    constexpr Index tile = 16;
    executor.for_each((found.items + tile - 1) / tile, [&](Index shard) {
      const Index first = shard * tile, count = std::min(tile, found.items - first);
      const auto item_of = [&](Index i) { return (first + i) * items / found.items; };
      Arena arena;
      cpu::Context ctx{.arena = arena};
      OwnedMatrix<float> queries(count, vectors.cols()), cosines(count, items);
      for (Index i = 0; i < count; ++i) {
        std::copy_n(directions.view().row(item_of(i)).begin(), vectors.cols(),
                    queries.view().row(i).begin());
      }
      cpu::gemm_nt<float>(ctx, queries, directions, cosines.view(), Write::assign);
      std::vector<std::pair<float, Index>> order;
      for (Index i = 0; i < count; ++i) {
        order.clear();
        for (Index item = 0; item < items; ++item) {
          if (item != item_of(i)) {
            order.emplace_back(-cosines.view()(i, item), item);
          }
        }
        std::nth_element(order.begin(), order.begin() + found.neighbours, order.end());
        for (Index n = 0; n < found.neighbours; ++n) {
          detail::count_shared(ids.codes, item_of(i), order[static_cast<std::size_t>(n)].second,
                               same.view().row(first + i));
        }
      }
    });
    detail::share_digits(ids, same, found.items * found.neighbours, found);
    return found;
  }

/// The report as the lines a tool prints.
inline std::string to_text(const NeighbourAgreement& report) {
  std::string text = "digits that " + std::to_string(report.items) + " items share with their " +
                     std::to_string(report.neighbours) + " nearest (all up to it; by chance):";
  constexpr std::size_t shown = 8;  // of digits without an order one is like another
  for (std::size_t digit = 0; digit < std::min(shown, report.digit.size()); ++digit) {
    text += (digit == 0 ? " " : ", ") + detail::percent_text(report.digit[digit]) + " (" +
            detail::percent_text(report.prefix[digit]) + "; " +
            detail::percent_text(report.chance[digit]) + ")";
  }
  if (report.digit.size() > shown) {
    double sum = 0;
    for (const double share : report.digit) { sum += share; }
    text += ", …; mean of all digits " +
            detail::percent_text(sum / static_cast<double>(report.digit.size()));
  }
  return text + "\n";
}

}  // namespace simgr::SIMGR_ABI::tokenizer
