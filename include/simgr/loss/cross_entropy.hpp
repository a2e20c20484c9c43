// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>

#include <simgr/core/fields.hpp>
#include <simgr/core/product_scores.hpp>
#include <simgr/flow.hpp>
#include <simgr/loss/negatives.hpp>

// A loss is a type with In (the scores it reads), Out = double, Config (with for_each_field) and
//
//   value_and_gradient(config, scores, batch, weight, ctx) -> weight · Σ_rows loss(row)
//
// which fills the gradients that `scores` points at. Value and gradient are never separated.

namespace simgr::SIMGR_ABI {

namespace detail {

/// Numbers of a cross-entropy over the whole catalogue.
struct FullCatalogueConfig {
  Index tile_bytes = 16 << 20;  // of the scores that are kept between two visits of the keys
  double label_smoothing = 0;   // share of the target's mass that is spread over all items

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"tile_bytes", 1 << 12, 1 << 30, "bytes of one tile of scores"}, c.tile_bytes);
    f(Field{"label_smoothing", 0, 0.99, "share of the target's mass spread over all items"},
      c.label_smoothing);
  }
};

}  // namespace detail

/// −log softmax(s)[target], over the items that the negatives name.
///
/// FullCatalogue        exact, in tiles of some rows by all items that are sized to the cache. A
///                      tile is three products: scores, their gradient back to the queries, and
///                      back to the keys; [rows, items] never exists.
///                      With label_smoothing e the target has mass 1 - e, and e is spread evenly
///                      over all items, the target included.
/// InBatch<log_q>       over the batch's targets; an item that is another row's target and this
///                      row's as well is left out
/// InBatchAndDrawn<log_q>  over those and items that are drawn for all rows
/// UniformNegatives<N>, PopularityNegatives<N>   sampled softmax with the log-q correction; a
///                      negative equal to the target is left out
///
/// Cost    FullCatalogue: 6 rows · items · width flops and rows · items exponentials
/// Source  full: SimGR's item-level cross-entropy; log-q: Bengio & Senécal 2008, Yi et al. 2019;
///         smoothing: Szegedy et al. 2016, section 7
template <class Negatives = FullCatalogue>
struct ItemCrossEntropy {
  using In = flow::ItemScores;
  using Out = double;
  static constexpr bool full_catalogue = std::is_same_v<Negatives, FullCatalogue>;
  using Config = std::conditional_t<full_catalogue, detail::FullCatalogueConfig,
                                    detail::NegativesConfig<Negatives>>;

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    if constexpr (full_catalogue) {
      return full(c, scores, batch.targets, weight, ctx);
    } else if constexpr (requires { Negatives::per_row; }) {
      return sampled(scores, batch, weight, ctx);
    } else {
      return shared(c, scores, batch, weight, ctx);
    }
  }

private:
  template <class Scores, class T, class Ctx>
  static double full(const Config& c, const Scores& scores, std::span<const ItemId> targets,
                     T weight, Ctx& ctx) {
    if constexpr (requires { scores.cross_entropy(ctx, targets, weight, c.tile_bytes); }) {
      if (c.label_smoothing == 0) {
        return scores.cross_entropy(ctx, targets, weight, c.tile_bytes);
      }
    }
    const Index items = scores.candidates();
    const Index most =
        std::clamp(c.tile_bytes / (items * static_cast<Index>(sizeof(T))), Index{16}, Index{256});
    const auto tile = ctx.template take<T>(std::min(most, scores.rows()), items);
    double sum = 0;
    for (Index first = 0; first < scores.rows(); first += most) {
      const Index count = std::min(most, scores.rows() - first);
      const auto s = tile.slice(0, count);
      scores.tile(ctx, first, count, s);
      for (Index r = 0; r < count; ++r) {
        const Index target = targets[static_cast<std::size_t>(first + r)];
        sum += c.label_smoothing > 0
                   ? smoothed_cross_entropy_row(ctx, s.row(r), target,
                                                static_cast<T>(c.label_smoothing), weight)
                   : cross_entropy_row(ctx, s.row(r), target, weight);
      }
      scores.tile_backward(ctx, first, count, s);
    }
    return sum * static_cast<double>(weight);
  }

  template <class Scores, class T, class Ctx>
  static double sampled(const Scores& scores, const LossBatch& batch, T weight, Ctx& ctx) {
    const Index rows = scores.rows(), items = scores.candidates(), per_row = 1 + Negatives::per_row;
    const auto ids = ctx.template take<std::int32_t>(rows, per_row);
    draw_negatives<Negatives>(batch, items, ids, ctx);
    const auto s = ctx.template take<T>(rows, per_row);
    scores.chosen(ctx, ids, s);
    double sum = 0;
    for (Index r = 0; r < rows; ++r) {
      correct_sampled(
          std::span<const ItemId>(ids.row(r).span()), 0,
          [&](Index j) { return Negatives::log_q(batch, items, ids(r, j)); }, s.row(r));
      sum += cross_entropy_row(ctx, s.row(r), 0, weight);
    }
    scores.chosen_backward(ctx, ids, s);
    return sum * static_cast<double>(weight);
  }

  template <class Scores, class T, class Ctx>
  static double shared(const Config& c, const Scores& scores, const LossBatch& batch, T weight,
                       Ctx& ctx) {
    const SharedCandidates all = Negatives::candidates(c, batch, scores.candidates(), ctx);
    const Index rows = scores.rows(), count = static_cast<Index>(all.ids.size());
    const auto gathered = ctx.template take<T>(count, scores.keys.cols());
    const auto s = ctx.template take<T>(rows, count);
    scores.shared(ctx, all.ids, gathered, s);
    double sum = 0;
    for (Index r = 0; r < rows; ++r) {
      correct_sampled(
          all.ids, r, [&](Index j) { return all.log_q[static_cast<std::size_t>(j)]; }, s.row(r));
      sum += cross_entropy_row(ctx, s.row(r), r, weight);
    }
    scores.shared_backward(ctx, all.ids, gathered, s);
    return sum * static_cast<double>(weight);
  }
};

}  // namespace simgr::SIMGR_ABI
