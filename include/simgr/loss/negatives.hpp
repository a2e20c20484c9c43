// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <simgr/core/fields.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/rng.hpp>

// Which items a target is told apart from.

namespace simgr::SIMGR_ABI {

/// What a loss is told of a batch. Popularity is that of all training interactions, the first of a
/// history among them, which is no target: items that mostly come first count for more than they
/// stand in targets.
struct LossBatch {
  std::span<const ItemId> targets;  // [rows]
  RaggedView<ItemId> history;       // what was read
  Offsets rows;  // [histories + 1]: where each one's targets begin; or empty: one each
  std::span<const double> log_popularity;  // [items]: log share of an item among the interactions
  std::span<const double> cumulative;      // [items]: running sum of those shares

  /// The history whose row this is.
  Index sequence_of(Index row) const noexcept {
    if (rows.empty()) {
      return row;
    }
    const auto after = std::upper_bound(rows.begin(), rows.end(), row);
    return static_cast<Index>(after - rows.begin()) - 1;
  }
  /// The targets of a history.
  std::span<const ItemId> targets_of(Index sequence) const noexcept {
    const auto s = static_cast<std::size_t>(sequence);
    return rows.empty() ? targets.subspan(s, 1)
                        : targets.subspan(static_cast<std::size_t>(rows[s]),
                                          static_cast<std::size_t>(rows[s + 1] - rows[s]));
  }
};

namespace detail {
template <class Negatives>
struct NegativesConfigOf {
  using Type = NoFields;
};
template <class Negatives>
  requires requires {
    typename Negatives::Config;
  }
struct NegativesConfigOf<Negatives> {
  using Type = typename Negatives::Config;
};
/// The numbers of negatives, or none.
template <class Negatives>
using NegativesConfig = typename NegativesConfigOf<Negatives>::Type;
}  // namespace detail

/// Every item of the catalogue: no sampling, nothing to correct.
struct FullCatalogue {};

/// One list of candidates for all rows: row r's target at place r, and what a softmax over them
/// subtracts from each.
struct SharedCandidates {
  std::span<const ItemId> ids;    // [at least rows]
  std::span<const double> log_q;  // [ids]: log of how often each is expected, or a constant more
};

/// The targets of the batch are each other's negatives.
/// @tparam log_q   subtract log(share of the item among training interactions): popular items are
///                 negatives more often
template <bool log_q = true>
struct InBatch {
  using Config = NoFields;
  static constexpr bool shared = true, corrected = log_q;

  template <class Ctx>
  static SharedCandidates candidates(const Config&, const LossBatch& batch, Index, Ctx& ctx) {
    const auto logs = ctx.template take<double>(static_cast<Index>(batch.targets.size()));
    for (Index j = 0; j < logs.size(); ++j) {
      const auto item = static_cast<std::size_t>(batch.targets[static_cast<std::size_t>(j)]);
      logs[j] = log_q ? batch.log_popularity[item] : 0.0;
    }
    return {batch.targets, logs.span()};
  }
};

/// The same, and `extra` items besides, drawn for all rows at once by their share among training
/// interactions to the power of `exponent`.
///
/// Source  Hidasi & Karatzoglou 2018, section 3.2
template <bool log_q = true>
struct InBatchAndDrawn {
  struct Config {
    Index extra = 2048;
    double exponent = 0.5;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"extra", 0, 1 << 20, "items drawn for all rows, besides the batch's targets"},
        c.extra);
      f(Field{"exponent", 0, 1, "they are drawn by popularity to the power of this"}, c.exponent);
    }
  };
  static constexpr bool shared = true, corrected = log_q;

  template <class Ctx>
  static SharedCandidates candidates(const Config& c, const LossBatch& batch, Index items,
                                     Ctx& ctx) {
    const auto targets = static_cast<Index>(batch.targets.size());
    const auto ids = ctx.template take<ItemId>(targets + c.extra);
    const auto logs = ctx.template take<double>(ids.size());
    const auto cumulative = ctx.template take<double>(items);
    double sum = 0;
    for (Index item = 0; item < items; ++item) {
      const double share = batch.log_popularity[static_cast<std::size_t>(item)];
      cumulative[item] = sum += std::exp(c.exponent * share);
    }
    Rng rng(ctx.seed ^ 0x6472617765786372u, (ctx.step << 32) | ctx.next_stream());
    for (Index j = 0; j < ids.size(); ++j) {
      const bool own = j < targets;
      const double at = own ? 0 : rng.uniform() * sum;
      const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), at);
      ids[j] = own ? batch.targets[static_cast<std::size_t>(j)]
                   : static_cast<ItemId>(
                         std::min(static_cast<Index>(found - cumulative.begin()), items - 1));
      const double share = batch.log_popularity[static_cast<std::size_t>(ids[j])];
      logs[j] = !log_q ? 0
                : own  ? std::log(static_cast<double>(targets)) + share
                       : std::log(static_cast<double>(c.extra) / sum) + c.exponent * share;
    }
    return {ids.span(), logs.span()};
  }
};

/// `count` items for each row, drawn uniformly from those that neither the history read nor its
/// targets hold. Later items of the user may be drawn where prefixes are read.
template <Index count>
struct UniformNegatives {
  static constexpr Index per_row = count;
  static Index draw(Rng& rng, Index items, const LossBatch&) { return rng.below(items); }
  static double log_q(const LossBatch&, Index items, Index) {
    return std::log(static_cast<double>(count) / static_cast<double>(items));
  }
};

/// The same, drawn by their share among training interactions.
template <Index count>
struct PopularityNegatives {
  static constexpr Index per_row = count;
  static Index draw(Rng& rng, Index items, const LossBatch& batch) {
    const double at = rng.uniform() * batch.cumulative.back();
    const auto found = std::upper_bound(batch.cumulative.begin(), batch.cumulative.end(), at);
    return std::min(static_cast<Index>(found - batch.cumulative.begin()), items - 1);
  }
  static double log_q(const LossBatch& batch, Index, Index item) {
    return std::log(static_cast<double>(count)) +
           batch.log_popularity[static_cast<std::size_t>(item)];
  }
};

/// ids(r, 0) is the target and ids(r, 1 …) are drawn by N, never an item of the row's own history
/// or its targets. After 100 refusals in a row the draw stands: a user who has everything must not
/// hang a training.
template <class N, class Ctx>
void draw_negatives(const LossBatch& batch, Index items, Matrix<std::int32_t> ids, Ctx& ctx) {
  Rng rng(ctx.seed ^ 0x6e65676174697665u, (ctx.step << 32) | ctx.next_stream());
  for (Index row = 0; row < ids.rows(); ++row) {
    const Index sequence = batch.sequence_of(row);
    const std::span<const ItemId> seen = batch.history[sequence];
    const std::span<const ItemId> own = batch.targets_of(sequence);
    ids(row, 0) = batch.targets[static_cast<std::size_t>(row)];
    for (Index j = 1; j < ids.cols(); ++j) {
      for (int attempt = 0; attempt < 100; ++attempt) {
        const auto item = static_cast<ItemId>(N::draw(rng, items, batch));
        ids(row, j) = item;
        if (std::find(seen.begin(), seen.end(), item) == seen.end() &&
            std::find(own.begin(), own.end(), item) == own.end()) {
          break;
        }
      }
    }
  }
}

/// What sampling does to the scores of one row: subtracts log_q(j) from each, and takes out, as
/// -inf, every j whose item is that of `own` but is not `own` itself.
template <class T, class S, class LogQ>
void correct_sampled(std::span<const ItemId> ids, Index own, LogQ&& log_q, Vector<T, S> s) {
  const ItemId target = ids[static_cast<std::size_t>(own)];
  for (Index j = 0; j < s.size(); ++j) {
    s[j] -= static_cast<T>(log_q(j));
    if (j != own && ids[static_cast<std::size_t>(j)] == target) {
      s[j] = -std::numeric_limits<T>::infinity();
    }
  }
}

}  // namespace simgr::SIMGR_ABI
