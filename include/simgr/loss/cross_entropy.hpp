// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <limits>

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

/// −log softmax(s)[target], over the items that the negatives name.
///
/// FullCatalogue        exact, in tiles of some rows by all items that are sized to the cache. A
/// tile is three products:
///                      scores, their gradient back to the queries, and back to the keys; [rows,
///                      items] never exists.
/// InBatch<log_q>       over the batch's targets; an item that is another row's target and this
/// row's as well is left out UniformNegatives<N>, PopularityNegatives<N>   sampled softmax with the
/// log-q correction; a negative equal to the
///                      target is left out
///
/// Cost    FullCatalogue: 6 rows · items · width flops and rows · items exponentials
/// Source  full: SimGR's item-level cross-entropy; log-q: Bengio & Senécal 2008, Yi et al. 2019
template <class Negatives = FullCatalogue>
struct ItemCrossEntropy {
  using In = flow::ItemScores;
  using Out = double;
  struct Config {
    Index tile_bytes = 1 << 20;  // of one score tile: half of a second-level cache

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"tile_bytes", 1 << 12, 1 << 30, "bytes of one tile of scores"}, c.tile_bytes);
    }
  };

  template <class T, class S, class Ctx>
  static double value_and_gradient(const Config& c, const ProductScores<T, S>& scores,
                                   const LossBatch& batch, T weight, Ctx& ctx) {
    if constexpr (std::is_same_v<Negatives, FullCatalogue>) {
      return full(c, scores, batch.targets, weight, ctx);
    } else if constexpr (requires { Negatives::per_row; }) {
      return sampled(scores, batch, weight, ctx);
    } else {
      return in_batch(scores, batch, weight, ctx, Negatives{});
    }
  }

private:
  template <class T, class S, class Ctx>
  static double full(const Config& c, const ProductScores<T, S>& scores,
                     std::span<const ItemId> targets, T weight, Ctx& ctx) {
    const Index items = scores.candidates();
    const Index most =
        std::clamp(c.tile_bytes / (items * static_cast<Index>(sizeof(T))), Index{16}, Index{256});
    const Matrix<T, S> tile = ctx.template take<T>(std::min(most, scores.rows()), items);
    double sum = 0;
    for (Index first = 0; first < scores.rows(); first += most) {
      const Index count = std::min(most, scores.rows() - first);
      const Matrix<T, S> s = tile.slice(0, count);
      scores.tile(ctx, first, count, s);
      for (Index r = 0; r < count; ++r) {
        sum +=
            cross_entropy_row(ctx, s.row(r), targets[static_cast<std::size_t>(first + r)], weight);
      }
      scores.tile_backward(ctx, first, count, s);
    }
    return sum * static_cast<double>(weight);
  }

  template <class T, class S, class Ctx>
  static double sampled(const ProductScores<T, S>& scores, const LossBatch& batch, T weight,
                        Ctx& ctx) {
    const Index rows = scores.rows(), items = scores.candidates(), per_row = 1 + Negatives::per_row;
    const Matrix<std::int32_t, S> ids = ctx.template take<std::int32_t>(rows, per_row);
    draw_negatives<Negatives>(batch, items, ids, ctx);
    const Matrix<T, S> s = ctx.template take<T>(rows, per_row);
    scores.chosen(ctx, ids, s);
    double sum = 0;
    for (Index r = 0; r < rows; ++r) {
      for (Index j = 0; j < per_row; ++j) {
        s(r, j) -= static_cast<T>(Negatives::log_q(batch, items, ids(r, j)));
        if (j > 0 && ids(r, j) == ids(r, 0)) {
          s(r, j) = -std::numeric_limits<T>::infinity();
        }
      }
      sum += cross_entropy_row(ctx, s.row(r), 0, weight);
    }
    scores.chosen_backward(ctx, ids, s);
    return sum * static_cast<double>(weight);
  }

  template <class T, class S, class Ctx, bool log_q>
  static double in_batch(const ProductScores<T, S>& scores, const LossBatch& batch, T weight,
                         Ctx& ctx, InBatch<log_q>) {
    const Index rows = scores.rows();
    const std::span<const ItemId> ids = batch.targets;
    const Matrix<T, S> gathered = ctx.template take<T>(rows, scores.keys.cols());
    const Matrix<T, S> s = ctx.template take<T>(rows, rows);
    scores.shared(ctx, ids, gathered, s);
    double sum = 0;
    for (Index r = 0; r < rows; ++r) {
      const ItemId target = ids[static_cast<std::size_t>(r)];
      for (Index j = 0; j < rows; ++j) {
        const ItemId item = ids[static_cast<std::size_t>(j)];
        if constexpr (log_q) {
          s(r, j) -= static_cast<T>(batch.log_popularity[static_cast<std::size_t>(item)]);
        }
        if (j != r && item == target) {
          s(r, j) = -std::numeric_limits<T>::infinity();
        }
      }
      sum += cross_entropy_row(ctx, s.row(r), r, weight);
    }
    scores.shared_backward(ctx, ids, gathered, s);
    return sum * static_cast<double>(weight);
  }
};

}  // namespace simgr::SIMGR_ABI
