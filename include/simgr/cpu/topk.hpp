// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>  // std::bit_cast
#include <cstdint>
#include <limits>
#include <span>

#include <simgr/cpu/context.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// The order of every list of the library as one number: larger is better. Score descending, then
/// id ascending; -0 and 0 are one score.
inline std::uint64_t rank_key(float score, ItemId id) noexcept {
  auto bits = std::bit_cast<std::uint32_t>(score);
  bits = bits == 0x80000000u ? 0u : bits;
  bits ^= (bits >> 31) != 0 ? 0xffffffffu : 0x80000000u;
  return (std::uint64_t{bits} << 32) | std::uint64_t{~static_cast<std::uint32_t>(id)};
}
inline float key_score(std::uint64_t key) noexcept {
  auto bits = static_cast<std::uint32_t>(key >> 32);
  bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xffffffffu;
  return std::bit_cast<float>(bits);
}
inline ItemId key_id(std::uint64_t key) noexcept {
  return static_cast<ItemId>(~static_cast<std::uint32_t>(key));
}

/// The best items offered so far: a heap over the caller's memory, worst first.
///
/// The order is total (no two ids are equal), so the result does not depend on the order of the
/// offers, hence not on tiles, shards or threads. An id may be offered once.
///
/// Cost    O(log k) an accepted offer, one comparison a refused one
class BestItems {
public:
  BestItems() noexcept = default;
  /// @param memory  [k], overwritten
  explicit BestItems(std::span<std::uint64_t> memory) noexcept
      : keys_(memory.data()), capacity_(memory.size()) {
    refresh();
  }

  /// No item whose score is below this can enter: the worst score kept, -inf until k are kept.
  float threshold() const noexcept { return threshold_; }
  Index size() const noexcept { return static_cast<Index>(size_); }

  void offer(float score, ItemId id) noexcept { offer_key(rank_key(score, id)); }

  /// Takes over all that `other` keeps.
  void merge(const BestItems& other) noexcept {
    for (std::size_t i = 0; i < other.size_; ++i) { offer_key(other.keys_[i]); }
  }

  /// Writes what was kept, best first, and returns how many; afterwards nothing may be offered.
  Index finish(std::span<ItemId> ids, std::span<float> scores) noexcept {
    std::sort_heap(keys_, keys_ + size_, worse_last);
    for (std::size_t i = 0; i < size_; ++i) {
      ids[i] = key_id(keys_[i]);
      if (!scores.empty()) {
        scores[i] = key_score(keys_[i]);
      }
    }
    return size();
  }

private:
  static bool worse_last(std::uint64_t a, std::uint64_t b) noexcept { return a > b; }

  void refresh() noexcept {
    const float none = std::numeric_limits<float>::infinity();
    if (size_ == capacity_) {
      threshold_ = capacity_ == 0 ? none : key_score(keys_[0]);
    } else {
      threshold_ = -none;
    }
  }
  void offer_key(std::uint64_t key) noexcept {
    if (size_ < capacity_) {
      keys_[size_++] = key;
      std::push_heap(keys_, keys_ + size_, worse_last);
    } else if (capacity_ != 0 && key > keys_[0]) {
      std::size_t hole = 0;  // sift down: half the moves of pop_heap and push_heap
      for (std::size_t child = 1; child < size_; child = 2 * hole + 1) {
        child += child + 1 < size_ && keys_[child + 1] < keys_[child] ? 1 : 0;
        if (key <= keys_[child]) {
          break;
        }
        keys_[hole] = keys_[child];
        hole = child;
      }
      keys_[hole] = key;
    } else {
      return;
    }
    refresh();
  }

  std::uint64_t* keys_ = nullptr;
  std::size_t capacity_ = 0, size_ = 0;
  float threshold_ = std::numeric_limits<float>::infinity();
};

/// Whether any of the `count` scores reaches `bound`; NaN does. Written to be vectorised.
inline bool any_reaches(const float* scores, Index count, float bound) noexcept {
  int reached = 0;
  for (Index i = 0; i < count; ++i) { reached |= static_cast<int>(!(scores[i] < bound)); }
  return reached != 0;
}

/// Scores tested together before one is looked at alone.
inline constexpr Index scan_block = 64;

/// Calls visit(i), in ascending order, for every score that reaches bound(), which is asked again
/// after each visit; NaN reaches every bound. One pass over the row at the speed of the cache.
template <class Bound, class Visit>
void visit_reaching(const float* scores, Index count, Bound&& bound, Visit&& visit) {
  for (Index begin = 0; begin < count; begin += scan_block) {
    const Index block = std::min(scan_block, count - begin);
    const float* part = scores + begin;
    if (block == scan_block ? !any_reaches(part, scan_block, bound())
                            : !any_reaches(part, block, bound())) {
      continue;
    }
    for (Index i = 0; i < block; ++i) {
      if (!(part[i] < bound())) {
        visit(begin + i);
      }
    }
  }
}

/// The best of one row of scores, best first: score descending, id ascending on ties.
///
/// Shapes   scores [items];  ids, best_scores [k];  returns how many were written, min(k, items)
/// Cost     one pass over the row; scratch of k keys from the arena
/// Errors   none: scores must not be NaN (the evaluator and the rankers check their input)
inline Index top_k(Context& ctx, VectorArg<float> scores, Vector<ItemId> ids,
                   Vector<float> best_scores) {
  SIMGR_ASSERT(ids.size() == best_scores.size(), "top_k: shapes");
  const Index k = std::min(ids.size(), scores.size());
  Arena::Scope scope(ctx.arena);
  BestItems best(ctx.take<std::uint64_t>(k).span());
  visit_reaching(
      scores.data(), scores.size(), [&] { return best.threshold(); },
      [&](Index i) { best.offer(scores[i], static_cast<ItemId>(i)); });
  return best.finish(ids.span(), best_scores.span());
}

}  // namespace simgr::SIMGR_ABI::cpu
