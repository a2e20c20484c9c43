// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <simgr/core/hiding.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/flow.hpp>

namespace simgr::SIMGR_ABI::data {

/// One batch: packed histories, and a target for each position, each history or each hidden item.
struct Batch {
  Ragged<ItemId> history;
  std::vector<ItemId> targets;
  std::vector<Index> rows{0};  // [histories + 1]: where the targets of each begin

  void clear() noexcept {
    history.clear();
    targets.clear();
    rows.resize(1);
  }
};

/// What of the examples each epoch draws anew.
struct Drawn {
  Index per_user = 0;          // unless every_position: most examples of a user in an epoch; 0: all
  bool sub_sequences = false;  // histories begin anywhere, evenly, not where they must
};

/// Cuts training sequences into examples and deals them out in an order drawn from (seed, epoch).
///
///   every_position  an example is a user: the last max_length + 1 items; position t predicts item
///                   t + 1
///   every_prefix    an example is a user and an end: the last max_length items before it predict
///                   it. Each epoch takes all ends of a user, or draws some of them
///   hidden_items    the same with the item at the end behind the others; which of them are hidden is
///                   drawn anew in every epoch
///
/// With sub_sequences every contiguous part of a sequence is an example sooner or later: an item is
/// learnt behind short histories, too, and a long sequence is seldom read the same way twice.
///
/// A sequence of fewer than two items has no example. The sequences must outlive the batcher.
///
/// Cost    16 bytes an example; batches reuse their memory
/// Source  sub_sequences: Ju et al., "Generative recommendation with semantic IDs" (GRID), 2025, who take
///         all of them in every epoch
class Batcher {
public:
  /// @param hiding  of hidden_items
  /// @param mask    of hidden_items: what stands in their places
  Batcher(RaggedView<ItemId> sequences, Examples examples, Index max_length, std::uint64_t seed,
          Drawn drawn = {}, const Hiding& hiding = {}, ItemId mask = -1)
      : sequences_(sequences), examples_(examples), max_length_(max_length), seed_(seed),
        drawn_(drawn), hiding_(hiding), mask_(mask) {
    for (Index user = 0; user < sequences.sequences(); ++user) {
      const auto length = static_cast<Index>(sequences[user].size());
      const Index first_end = examples == Examples::every_position ? length - 1 : 1;
      for (Index end = first_end; end >= 1 && end < length; ++end) {
        order_.push_back({static_cast<std::int32_t>(user), static_cast<std::int32_t>(end)});
      }
    }
    in_file_order_ = order_;
    begin_epoch(0);
  }

  Index examples() const noexcept { return static_cast<Index>(order_.size()); }

  /// Shuffles anew; epoch e of a seed has the same order whatever came before.
  void begin_epoch(Index epoch) {
    epoch_ = epoch;
    order_ = in_file_order_;
    Rng rng(seed_, 0x6261746368ULL + static_cast<std::uint64_t>(epoch));
    if (drawn_.per_user > 0 && examples_ != Examples::every_position) {
      keep_some_of_each(rng);
    }
    rng.shuffle(std::span<Example>(order_));
  }

  /// Puts examples first … first + count - 1 of this epoch's order into `batch`.
  void fill(Index first, Index count, Batch& batch) const {
    batch.clear();
    for (Index i = first; i < first + count; ++i) {
      const Example example = order_[static_cast<std::size_t>(i)];
      const std::span<const ItemId> sequence = sequences_[example.user];
      const auto end = static_cast<std::size_t>(example.end);
      const auto begin = static_cast<std::size_t>(begin_of(example));
      if (examples_ == Examples::hidden_items) {
        batch.history.push_back(sequence.subspan(begin, end - begin + 1));
        hide(example, batch);
      } else {
        batch.history.push_back(sequence.subspan(begin, end - begin));
        const std::size_t from = examples_ == Examples::every_position ? begin + 1 : end;
        const std::span<const ItemId> next = sequence.subspan(from, end + 1 - from);
        batch.targets.insert(batch.targets.end(), next.begin(), next.end());
      }
      batch.rows.push_back(static_cast<Index>(batch.targets.size()));
    }
  }

private:
  struct Example {
    std::int32_t user, end;  // history: items before position `end` of the user's sequence
  };

  // Of this epoch and an example, whatever order examples come in.
  Rng draws_of(const Example& example, std::uint64_t purpose) const {
    return Rng(seed_ ^ (purpose + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(epoch_)),
               static_cast<std::uint64_t>(example.user) << 32 |
                   static_cast<std::uint64_t>(example.end));
  }

  Index begin_of(const Example& example) const {
    const Index first = std::max<Index>(0, example.end - max_length_);
    return drawn_.sub_sequences
               ? first + draws_of(example, 0x626567696eULL).below(example.end - first)
               : first;
  }

  // Of the last history of the batch.
  void hide(const Example& example, Batch& batch) const {
    Rng rng = draws_of(example, 0x68696465ULL);
    const auto first =
        static_cast<std::size_t>(batch.history.offsets[batch.history.offsets.size() - 2]);
    hiding_.hide(rng, mask_, std::span(batch.history.values).subspan(first), batch.targets);
  }

  // Leaves per_user examples of every user; those of one stand together.
  void keep_some_of_each(Rng& rng) {
    std::size_t kept = 0;
    for (std::size_t first = 0, next = 0; first < order_.size(); first = next) {
      while (next < order_.size() && order_[next].user == order_[first].user) { ++next; }
      rng.shuffle(std::span<Example>(order_).subspan(first, next - first));
      const std::size_t some = std::min(next - first, static_cast<std::size_t>(drawn_.per_user));
      for (std::size_t i = 0; i < some; ++i) { order_[kept++] = order_[first + i]; }
    }
    order_.resize(kept);
  }

  RaggedView<ItemId> sequences_;
  Examples examples_;
  Index max_length_;
  std::uint64_t seed_;
  Drawn drawn_;
  Hiding hiding_;
  ItemId mask_;
  Index epoch_ = 0;
  std::vector<Example> in_file_order_, order_;
};

}  // namespace simgr::SIMGR_ABI::data
