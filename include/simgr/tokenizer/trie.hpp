// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/view.hpp>
#include <simgr/tokenizer/item_id.hpp>

namespace simgr::SIMGR_ABI {

/// All prefixes of the semantic ids of a catalogue, as one tree.
///
/// A node of depth d is a distinct prefix of d digits: depth 0 is the empty one, depth digits() the
/// whole tuples, the leaves. Nodes of a depth are numbered in the order of their codes, so the
/// children of a node are a range of the next depth, found without search; the children of a leaf
/// are the items that share its tuple, by ascending id.
///
///   tuples      depth 1     depth 2            children(1, ·)
///   (0, 3)      0: 0 ─┬──   0: 0 3             node 0: [0, 2)
///   (0, 7)            └──   1: 0 7             node 1: [2, 3)
///   (4, 3)      1: 4 ────   2: 4 3
///
/// Memory  three numbers of 32 bits a node and two an item; nothing is sized by the range of codes
/// Cost    O(items · digits · log(items)) once; every question below is O(1) or O(digits)
class Trie {
public:
  struct Range {
    Index begin = 0, end = 0;
    Index size() const noexcept { return end - begin; }
  };

  Trie() = default;
  /// @throws ConfigError  no items or no digits
  /// @throws ShapeError   codes_per_digit of another length than the tuples
  /// @throws DataError    a code out of the range of its digit, with the item; more than 2^31 codes
  explicit Trie(const SemanticIds& ids) {
    require_sound(ids);
    OwnedMatrix<std::int32_t> rows = ids.codes;
    std::vector<Index> starts;
    for (Index l = 0; l <= ids.digits(); ++l) { starts.push_back(ids.first_row(l)); }
    for (Index i = 0; i < ids.items(); ++i) {
      for (Index l = 0; l < ids.digits(); ++l) {
        rows.view()(i, l) += static_cast<std::int32_t>(starts[static_cast<std::size_t>(l)]);
      }
    }
    *this = Trie(ItemsView<>{ids.items(), rows.view(), starts});
  }
  /// The same of ids that have been checked.
  explicit Trie(const ItemsView<>& view)
      : first_rows_(view.digit_starts.begin(), view.digit_starts.end()) {
    const Matrix<const std::int32_t> rows = view.digit_rows;
    const Index digits = rows.cols(), items = rows.rows();
    items_.resize(static_cast<std::size_t>(items));
    std::iota(items_.begin(), items_.end(), ItemId{0});
    const auto row = [&](ItemId item) { return rows.row(item).span(); };
    std::sort(items_.begin(), items_.end(), [&](ItemId a, ItemId b) {
      const auto order = std::lexicographical_compare_three_way(row(a).begin(), row(a).end(),
                                                                row(b).begin(), row(b).end());
      return order != 0 ? order < 0 : a < b;
    });
    levels_.resize(static_cast<std::size_t>(digits) + 1);
    leaves_.resize(items_.size());
    for (Index place = 0; place < items; ++place) {
      const ItemId item = items_[static_cast<std::size_t>(place)];
      // Nodes begin where this tuple leaves the one before it.
      Index shared = -1;
      if (place > 0) {
        const auto before = row(items_[static_cast<std::size_t>(place) - 1]);
        shared =
            std::mismatch(before.begin(), before.end(), row(item).begin()).first - before.begin();
      }
      for (Index depth = shared + 1; depth <= digits; ++depth) {
        Level& level = levels_[static_cast<std::size_t>(depth)];
        level.rows.push_back(depth == 0 ? 0 : rows(item, depth - 1));
        level.parents.push_back(depth == 0 ? 0 : static_cast<std::int32_t>(nodes(depth - 1) - 1));
        level.first_child.push_back(
            static_cast<std::int32_t>(depth == digits ? place : nodes(depth + 1)));
      }
      leaves_[static_cast<std::size_t>(item)] = static_cast<std::int32_t>(nodes(digits) - 1);
    }
    for (Index depth = 0; depth <= digits; ++depth) {
      levels_[static_cast<std::size_t>(depth)].first_child.push_back(
          static_cast<std::int32_t>(depth == digits ? items : nodes(depth + 1)));
    }
  }

  /// Depth of the leaves.
  Index digits() const noexcept { return static_cast<Index>(levels_.size()) - 1; }
  Index items() const noexcept { return static_cast<Index>(items_.size()); }
  Index nodes(Index depth) const noexcept {
    return static_cast<Index>(levels_[static_cast<std::size_t>(depth)].rows.size());
  }

  /// Nodes of depth + 1; of a leaf, places among its tuple's items.
  Range children(Index depth, Index node) const noexcept {
    const auto& first = levels_[static_cast<std::size_t>(depth)].first_child;
    return {first[static_cast<std::size_t>(node)], first[static_cast<std::size_t>(node) + 1]};
  }
  /// The node that is one digit shorter; depth at least 1.
  Index parent(Index depth, Index node) const noexcept {
    return levels_[static_cast<std::size_t>(depth)].parents[static_cast<std::size_t>(node)];
  }
  /// The row of the digit table of the node's last digit; depth at least 1.
  std::int32_t row(Index depth, Index node) const noexcept {
    return levels_[static_cast<std::size_t>(depth)].rows[static_cast<std::size_t>(node)];
  }
  /// The child of `node` whose last digit has that row of the digit table, or -1.
  Index child(Index depth, Index node, std::int32_t row) const noexcept {
    const Range range = children(depth, node);
    const auto& rows = levels_[static_cast<std::size_t>(depth) + 1].rows;
    const auto end = rows.begin() + range.end;
    const auto found = std::lower_bound(rows.begin() + range.begin, end, row);
    return found != end && *found == row ? found - rows.begin() : -1;
  }

  /// The leaf of an item's tuple.
  Index leaf(ItemId item) const noexcept { return leaves_[static_cast<std::size_t>(item)]; }
  /// The items below a node, in the order of their tuples; of a leaf, those that share its tuple.
  std::span<const ItemId> items_below(Index depth, Index node) const noexcept {
    Range range{node, node + 1};
    for (; depth <= digits(); ++depth) {
      const auto& first = levels_[static_cast<std::size_t>(depth)].first_child;
      range = {first[static_cast<std::size_t>(range.begin)],
               first[static_cast<std::size_t>(range.end)]};
    }
    return std::span(items_).subspan(static_cast<std::size_t>(range.begin),
                                     static_cast<std::size_t>(range.size()));
  }

  /// Rows of the digit table: those of digit l are [first_row(l), first_row(l + 1)).
  Index first_row(Index digit) const noexcept {
    return first_rows_[static_cast<std::size_t>(digit)];
  }
  Index table_rows() const noexcept { return first_rows_.back(); }

private:
  static void require_sound(const SemanticIds& ids) {
    if (ids.items() == 0 || ids.digits() == 0) {
      SIMGR_THROW(ConfigError("trie: expected items with at least one digit, found " +
                              std::to_string(ids.items()) + " items of " +
                              std::to_string(ids.digits()) + " digits"));
    }
    if (static_cast<Index>(ids.codes_per_digit.size()) != ids.digits()) {
      SIMGR_THROW(ShapeError("codes_per_digit: expected [" + std::to_string(ids.digits()) +
                             "], found [" + std::to_string(ids.codes_per_digit.size()) + "]"));
    }
    Index rows = 0;  // what names them is a number of 32 bits
    for (Index l = 0; l < ids.digits(); ++l) {
      const Index codes = ids.codes_per_digit[static_cast<std::size_t>(l)];
      if (codes < 0 || codes > INT32_MAX - rows) {
        SIMGR_THROW(DataError("codes_per_digit: expected at most " + std::to_string(INT32_MAX) +
                              " codes in all, found " + std::to_string(codes) + " of digit " +
                              std::to_string(l)));
      }
      rows += codes;
    }
    for (Index i = 0; i < ids.items(); ++i) {
      for (Index l = 0; l < ids.digits(); ++l) {
        const Index code = ids.codes.view()(i, l);
        const Index codes = ids.codes_per_digit[static_cast<std::size_t>(l)];
        if (code < 0 || code >= codes) {
          SIMGR_THROW(DataError("semantic ids: digit " + std::to_string(l) + " of item " +
                                std::to_string(i) + ": expected 0 to " + std::to_string(codes - 1) +
                                ", found " + std::to_string(code)));
        }
      }
    }
  }

  struct Level {
    std::vector<std::int32_t> rows, parents;  // [nodes]
    std::vector<std::int32_t> first_child;    // [nodes + 1]
  };
  std::vector<Level> levels_;         // [digits + 1]
  std::vector<ItemId> items_;         // by tuple, then id
  std::vector<std::int32_t> leaves_;  // [items]
  std::vector<Index> first_rows_;     // [digits + 1]
};

}  // namespace simgr::SIMGR_ABI
