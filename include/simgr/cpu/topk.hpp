// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>  // std::bit_cast
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include <simgr/cpu/context.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// The order of every list of the library as one number, larger is better: score descending, then
/// id ascending; -0 and 0 are one score, and a NaN, whatever its sign, is below all numbers.
inline std::uint64_t rank_key(float score, ItemId id) noexcept {
  auto bits = std::bit_cast<std::uint32_t>(score);
  bits = bits == 0x80000000u ? 0u : std::isnan(score) ? 0xffffffffu : bits;
  bits ^= (bits >> 31) != 0 ? 0xffffffffu : 0x80000000u;
  return (std::uint64_t{bits} << 32) | std::uint64_t{~static_cast<std::uint32_t>(id)};
}
/// The two halves of a rank_key.
inline float key_score(std::uint64_t key) noexcept {
  auto bits = static_cast<std::uint32_t>(key >> 32);
  bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xffffffffu;
  return std::bit_cast<float>(bits);
}
inline ItemId key_id(std::uint64_t key) noexcept {
  return static_cast<ItemId>(~static_cast<std::uint32_t>(key));
}

/// The best items offered so far, in the caller's memory.
///
/// The order is total (no two ids are equal), so the result does not depend on the order of the
/// offers, hence not on tiles, shards or threads. An id may be offered once.
///
/// Cost  of a refused offer: one comparison. Of an accepted one: k steps without a branch for k up
///       to 32 (a heap mispredicts, and takes twice as long), O(log k) beyond.
class BestItems {
public:
  BestItems() noexcept = default;
  /// @param memory  [k], overwritten
  explicit BestItems(std::span<std::uint64_t> memory) noexcept
      : keys_(memory.data()), capacity_(memory.size()) {
    threshold_ = capacity_ == 0 ? std::numeric_limits<float>::infinity()
                                : -std::numeric_limits<float>::infinity();
  }

  /// No item whose score is below this can enter: the worst score kept, -inf until k are kept. Of
  /// a NaN it is one, which no score is below.
  float threshold() const noexcept { return threshold_; }
  Index size() const noexcept { return static_cast<Index>(size_); }
  Index capacity() const noexcept { return static_cast<Index>(capacity_); }

  void offer(float score, ItemId id) noexcept { offer_key(rank_key(score, id)); }

  /// Takes over all that `other` keeps.
  void merge(const BestItems& other) noexcept {
    for (std::size_t i = 0; i < other.size_; ++i) { offer_key(other.keys_[i]); }
  }

  /// Writes what was kept, best first, and returns how many; afterwards nothing may be offered.
  /// @param scores  as long as ids, or empty: not asked for
  Index finish(std::span<ItemId> ids, std::span<float> scores) noexcept {
    std::sort(keys_, keys_ + size_, better_first);
    for (std::size_t i = 0; i < size_; ++i) {
      ids[i] = key_id(keys_[i]);
      if (!scores.empty()) {
        scores[i] = key_score(keys_[i]);
      }
    }
    return size();
  }

private:
  static constexpr std::size_t unordered_capacity = 32;

  static bool better_first(std::uint64_t a, std::uint64_t b) noexcept { return a > b; }

  void offer_key(std::uint64_t key) noexcept {
    if (size_ < capacity_) {
      keys_[size_++] = key;
      if (size_ < capacity_) {
        return;
      }
      if (capacity_ > unordered_capacity) {
        std::make_heap(keys_, keys_ + size_, better_first);
      }
      worst_ = *std::min_element(keys_, keys_ + size_);
    } else if (key <= worst_ || capacity_ == 0) {
      return;
    } else if (capacity_ <= unordered_capacity) {
      const std::uint64_t leaves = worst_;
      std::uint64_t least = key;
      for (std::size_t i = 0; i < size_; ++i) {
        keys_[i] = keys_[i] == leaves ? key : keys_[i];
        least = std::min(least, keys_[i]);
      }
      worst_ = least;
    } else {
      std::pop_heap(keys_, keys_ + size_, better_first);
      keys_[size_ - 1] = key;
      std::push_heap(keys_, keys_ + size_, better_first);
      worst_ = keys_[0];
    }
    threshold_ = key_score(worst_);
  }

  std::uint64_t* keys_ = nullptr;
  std::size_t capacity_ = 0, size_ = 0;
  std::uint64_t worst_ = 0;  // the least key, once k are kept
  float threshold_ = std::numeric_limits<float>::infinity();
};

/// Whether any of the `count` scores reaches `bound`; NaN does. Written to be vectorised.
inline bool any_reaches(const float* scores, Index count, float bound) noexcept {
  int reached = 0;
  for (Index i = 0; i < count; ++i) { reached |= static_cast<int>(!(scores[i] < bound)); }
  return reached != 0;
}

/// Scores tested together before one is looked at alone, and the parts such a block falls into.
inline constexpr Index scan_block = 64, scan_part = 16;

/// Calls visit(i), in ascending order, for every score that reaches bound(), which is asked again
/// after each visit; NaN reaches every bound. One pass over the row at the speed of the cache.
template <class Bound, class Visit>
void visit_reaching(const float* scores, Index count, Bound&& bound, Visit&& visit) {
  const auto look = [&](Index begin, Index length) {
    std::uint8_t places[scan_part];  // of scores that reach, found without a branch
    Index found = 0;
    const float now = bound();
    for (Index i = 0; i < length; ++i) {
      places[found] = static_cast<std::uint8_t>(i);
      found += static_cast<Index>(!(scores[begin + i] < now));
    }
    for (Index i = 0; i < found; ++i) {
      if (const Index at = begin + places[i]; !(scores[at] < bound())) {
        visit(at);
      }
    }
  };
  const Index whole = count / scan_block * scan_block;
  for (Index begin = 0; begin < whole; begin += scan_block) {
    if (!any_reaches(scores + begin, scan_block, bound())) {
      continue;
    }
    for (Index part = begin; part < begin + scan_block; part += scan_part) {
      if (any_reaches(scores + part, scan_part, bound())) {
        look(part, scan_part);
      }
    }
  }
  for (Index part = whole; part < count; part += scan_part) {
    look(part, std::min(scan_part, count - part));
  }
}

/// A score that at least k of the scores reach, for a start: without it the first items of a row
/// all enter and leave again. -inf where the row is too short to tell. NaN counts for nothing.
inline float reached_by(const float* scores, Index count, Index k) noexcept {
  constexpr Index groups = 64;
  constexpr float none = -std::numeric_limits<float>::infinity();
  if (k < 1 || k > groups / 2 || count < 2 * groups) {
    return none;
  }
  float largest[groups];  // of the scores at i, i + 64, i + 128 …
  std::fill_n(largest, groups, none);
  for (Index begin = 0; begin + groups <= count; begin += groups) {
    for (Index i = 0; i < groups; ++i) {
      const float score = scores[begin + i];
      largest[i] = score > largest[i] ? score : largest[i];
    }
  }
  std::nth_element(largest, largest + (k - 1), largest + groups,
                   [](float a, float b) { return a > b; });
  return largest[k - 1];
}

/// The best of one row of scores that its rule lets through, best first: score descending, id
/// ascending on ties, NaN last.
///
/// A rule says what the row may list: ranker::RowRule.
///
/// Shapes   scores [items];  ids, best_scores [k];  returns how many were written
/// Cost     one pass over the row; scratch of k keys from the arena
/// Errors   none
template <class Rule>
Index top_k(Context& ctx, VectorArg<float> scores, const Rule& rule, Vector<ItemId> ids,
            Vector<float> best_scores) {
  SIMGR_ASSERT(ids.size() == best_scores.size(), "top_k: shapes");
  const Index k = std::min(ids.size(), scores.size());
  Arena::Scope scope(ctx.arena);
  BestItems best(ctx.take<std::uint64_t>(k).span());
  for (const ItemId id : rule.zeroed) { best.offer(0.0f, id); }
  const auto offer = [&](ItemId id) {
    if (!rule.skips(id)) {
      best.offer(scores[id], id);
    }
  };
  if (rule.restricted) {
    for (const ItemId id : rule.only) { offer(id); }
  } else {
    const float floor =
        reached_by(scores.data(), scores.size(), k + static_cast<Index>(rule.skip.size()));
    visit_reaching(
        scores.data(), scores.size(), [&] { return std::max(best.threshold(), floor); },
        [&](Index i) { offer(static_cast<ItemId>(i)); });
  }
  return best.finish(ids.span(), best_scores.span());
}

}  // namespace simgr::SIMGR_ABI::cpu
