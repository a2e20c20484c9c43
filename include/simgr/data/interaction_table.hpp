// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/key_index.hpp>

namespace simgr::SIMGR_ABI::data {

/// Rows (user, item, time) in the order of a file, turned into histories at the end.
///
/// Cost  rows stand in pieces of 2^18 that are given back as the histories fill, so the peak is the
///       rows and the result: 28 bytes a row with times, 12 without, and the keys
class InteractionTable {
public:
  explicit InteractionTable(bool timed) : timed_(timed) {}

  KeyIndex users{}, items{};

  /// Appends a row of ids that `users` and `items` gave.
  void add(UserId user, ItemId item, std::int64_t time) {
    if (used_ == piece_rows) {
      pieces_.push_back({std::make_unique_for_overwrite<UserId[]>(piece_rows),
                         std::make_unique_for_overwrite<ItemId[]>(piece_rows),
                         std::make_unique_for_overwrite<std::int64_t[]>(timed_ ? piece_rows : 0)});
      used_ = 0;
    }
    Piece& piece = pieces_.back();
    piece.users[used_] = user;
    piece.items[used_] = item;
    if (timed_) {
      piece.times[used_] = time;
    }
    ++used_;
  }

  Index rows() const noexcept {
    return pieces_.empty() ? 0 : static_cast<Index>((pieces_.size() - 1) * piece_rows + used_);
  }

  /// Groups by user in the order of rows, then sorts every history by time, equal times staying in
  /// that order. Empties the table.
  ///
  /// Cost  O(rows) where the file is sorted, else O(rows · log(length))
  Interactions group() {
    Interactions result;
    result.items = items.size();
    users.freeze();
    items.freeze();
    auto& offsets = result.histories.offsets;
    offsets.assign(static_cast<std::size_t>(users.size()) + 1, 0);
    for_each_piece([&](const Piece& piece, std::size_t rows) {
      for (std::size_t i = 0; i < rows; ++i) {
        ++offsets[static_cast<std::size_t>(piece.users[i]) + 1];
      }
    });
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    const auto total = static_cast<std::size_t>(rows());
    std::vector<Index> next(offsets.begin(), offsets.end() - 1);
    result.histories.values.resize(total);
    result.times.resize(timed_ ? total : 0);
    for_each_piece([&](Piece& piece, std::size_t rows) {
      for (std::size_t i = 0; i < rows; ++i) {
        const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(piece.users[i])]++);
        result.histories.values[at] = piece.items[i];
        if (timed_) {
          result.times[at] = piece.times[i];
        }
      }
      piece = {};
    });
    pieces_.clear();
    used_ = piece_rows;
    if (timed_) {
      sort_by_time(result);
    }
    result.user_keys = users.keys();
    result.item_keys = items.keys();
    return result;
  }

private:
  static constexpr std::size_t piece_rows = std::size_t{1} << 18;
  struct Piece {
    std::unique_ptr<UserId[]> users;
    std::unique_ptr<ItemId[]> items;
    std::unique_ptr<std::int64_t[]> times;
  };

  template <class F>
  void for_each_piece(F&& f) {
    for (std::size_t p = 0; p < pieces_.size(); ++p) {
      f(pieces_[p], p + 1 == pieces_.size() ? used_ : piece_rows);
    }
  }

  static void sort_by_time(Interactions& result) {
    std::vector<std::pair<std::int64_t, ItemId>> rows;
    const auto& offsets = result.histories.offsets;
    for (std::size_t user = 0; user + 1 < offsets.size(); ++user) {
      const auto begin = static_cast<std::size_t>(offsets[user]);
      const auto length = static_cast<std::size_t>(offsets[user + 1]) - begin;
      const auto times = std::span(result.times).subspan(begin, length);
      if (std::is_sorted(times.begin(), times.end())) {
        continue;
      }
      const auto items = std::span(result.histories.values).subspan(begin, length);
      if (length <= 32) {  // insertion: stable, and 2 times as fast as the general sort at these
        for (std::size_t i = 1; i < length; ++i) {
          const std::int64_t time = times[i];
          const ItemId item = items[i];
          std::size_t k = i;
          for (; k > 0 && times[k - 1] > time; --k) {
            times[k] = times[k - 1];
            items[k] = items[k - 1];
          }
          times[k] = time;
          items[k] = item;
        }
        continue;
      }
      rows.clear();
      for (std::size_t i = 0; i < length; ++i) { rows.emplace_back(times[i], items[i]); }
      std::stable_sort(rows.begin(), rows.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      for (std::size_t i = 0; i < length; ++i) {
        times[i] = rows[i].first;
        items[i] = rows[i].second;
      }
    }
  }

  bool timed_;
  std::vector<Piece> pieces_;
  std::size_t used_ = piece_rows;  // rows of the last piece
};

}  // namespace simgr::SIMGR_ABI::data
