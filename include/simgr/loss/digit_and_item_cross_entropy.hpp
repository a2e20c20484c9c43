// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/fields.hpp>
#include <simgr/core/product_scores.hpp>
#include <simgr/flow.hpp>
#include <simgr/loss/negatives.hpp>

namespace simgr::SIMGR_ABI {

/// −1/digits Σ_j log p_j[code j of the target] − item_weight · log p[target]
///
/// The second softmax is over the items that training histories have: one that they have not would
/// be pushed away from everybody.
///
/// Cost    that of DigitCrossEntropy and 6 rows · items · width flops; where items are unseen, the
///         keys of the others once more
/// Source  LIGER, both terms with weight 1
struct DigitAndItemCrossEntropy {
  using In = flow::DigitAndItemScores;
  using Out = double;
  static constexpr bool full_catalogue = true;
  static constexpr bool seen_targets = true;  // no other item is one
  struct Config {
    double item_weight = 1;
    Index tile_bytes = 16 << 20;  // of the scores that are kept between two visits of the keys

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"item_weight", 0, 1e6, "of the softmax over items, beside that over digits"},
        c.item_weight);
      f(Field{"tile_bytes", 1 << 12, 1 << 30, "bytes of one tile of scores"}, c.tile_bytes);
    }
  };

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    const double of_digits = scores.digits.cross_entropy(
        ctx, batch.targets, weight / static_cast<T>(scores.digits.digits()), c.tile_bytes);
    const T item_weight = weight * static_cast<T>(c.item_weight);
    const std::span<const ItemId> unseen = scores.digits.items.unseen;
    return of_digits +
           (unseen.empty()
                ? scores.items.cross_entropy(ctx, batch.targets, item_weight, c.tile_bytes)
                : of_seen(c, scores.items, unseen, batch.targets, item_weight, ctx));
  }

private:
  template <class T, class S, class Ctx>
  static double of_seen(const Config& c, const ProductScores<T, S>& all,
                        std::span<const ItemId> unseen, std::span<const ItemId> targets, T weight,
                        Ctx& ctx) {
    const Index count = all.candidates() - static_cast<Index>(unseen.size());
    const auto seen = ctx.template take<ItemId>(count);
    auto next = unseen.begin();
    for (ItemId item = 0, at = 0; item < all.candidates(); ++item) {
      if (next != unseen.end() && *next == item) {
        ++next;
      } else {
        seen[at++] = item;
      }
    }
    const auto places = ctx.template take<ItemId>(static_cast<Index>(targets.size()));
    for (Index r = 0; r < places.size(); ++r) {
      const ItemId* place =
          std::lower_bound(seen.begin(), seen.end(), targets[static_cast<std::size_t>(r)]);
      SIMGR_ASSERT(place != seen.end() && *place == targets[static_cast<std::size_t>(r)],
                   "a target is an item of training");
      places[r] = static_cast<ItemId>(place - seen.begin());
    }
    const std::span<const ItemId> ids(seen.span());
    const Matrix<T, S> keys = ctx.template take<T>(count, all.keys.cols()),
                       dkeys = ctx.template take<T>(count, all.keys.cols());
    gather_rows(ctx, all.keys, ids, keys);
    fill(ctx, dkeys, T(0));
    const double value = ProductScores<T, S>{all.queries, keys, all.dqueries, dkeys}.cross_entropy(
        ctx, std::span<const ItemId>(places.span()), weight, c.tile_bytes);
    scatter_add_rows(ctx, dkeys, ids, T(1), all.dkeys);
    return value;
  }
};

}  // namespace simgr::SIMGR_ABI
