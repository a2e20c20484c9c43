// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <simgr/core/product_scores.hpp>
#include <simgr/core/view.hpp>

// Losses where candidates are encoded items, of which a step encodes some: the live ones.

namespace simgr::SIMGR_ABI {

/// The loss over live items, where each counts as often as it stands for one: a column more makes
/// that part of the product,  (q, 1) · (k, log stands_for).
///
/// @tparam L  over item scores
/// @param live  ids [live], ascending, and stands_for [live]
///
/// Shapes  keys, dkeys [live, width]
template <class L, class Live, class Batch, class T, class Space, class Ctx>
double loss_over_live(const typename L::Config& c, const Live& live, Matrix<const T, Space> keys,
                      Matrix<T, Space> dkeys, Batch batch, T weight,
                      const ProductScores<T, Space>& scores, Ctx& ctx) {
  const Index width = keys.cols();
  const auto wider = [&](Index rows) { return ctx.template take<T>(rows, width + 1); };
  const Matrix<T, Space> wide_keys = wider(keys.rows()), wide_dkeys = wider(keys.rows()),
                         wide_queries = wider(scores.rows()), wide_dqueries = wider(scores.rows());
  for (Index i = 0; i < keys.rows(); ++i) {
    copy(ctx, keys.row(i), wide_keys.row(i).slice(0, width), Write::assign);
    wide_keys(i, width) = std::log(live.stands_for[i]);
  }
  for (Index r = 0; r < scores.rows(); ++r) {
    copy(ctx, scores.queries.row(r), wide_queries.row(r).slice(0, width), Write::assign);
    wide_queries(r, width) = T(1);
  }
  fill(ctx, wide_dkeys, T(0));
  const auto places = ctx.template take<ItemId>(scores.rows());
  for (Index r = 0; r < scores.rows(); ++r) {
    const auto place = std::lower_bound(live.ids.begin(), live.ids.end(),
                                        batch.targets[static_cast<std::size_t>(r)]);
    places[r] = static_cast<ItemId>(place - live.ids.begin());
  }
  batch.targets = places.span();
  const ProductScores<T, Space> wide{wide_queries, wide_keys, wide_dqueries, wide_dkeys};
  const double value = L::value_and_gradient(c, wide, batch, weight, ctx);
  for (Index i = 0; i < keys.rows(); ++i) {
    copy(ctx, wide_dkeys.row(i).slice(0, width), dkeys.row(i), Write::assign);
  }
  for (Index r = 0; r < scores.rows(); ++r) {
    copy(ctx, wide_dqueries.row(r).slice(0, width), scores.dqueries.row(r), Write::assign);
  }
  return value;
}

/// The loss over the whole bank, in a copy of which live items take their places.
template <class L, class Live, class Batch, class T, class Space, class Ctx>
double loss_over_bank(const typename L::Config& c, const Live& live, Matrix<const T, Space> keys,
                      Matrix<T, Space> dkeys, const Batch& batch, T weight,
                      ProductScores<T, Space>& scores, Ctx& ctx) {
  const Matrix<T, Space> bank = ctx.template take<T>(scores.keys.rows(), scores.keys.cols());
  copy(ctx, scores.keys, bank, Write::assign);
  for (Index i = 0; i < keys.rows(); ++i) {
    copy(ctx, keys.row(i), bank.row(live.ids[static_cast<std::size_t>(i)]), Write::assign);
  }
  scores.keys = bank;
  const double value = L::value_and_gradient(c, scores, batch, weight, ctx);
  const Matrix<T, Space> dlive = ctx.template take<T>(keys.rows(), keys.cols());
  gather_rows(ctx, scores.dkeys, live.ids, dlive);
  scale_rows(ctx, live.stands_for, dlive, dkeys, Write::assign);
  return value;
}

}  // namespace simgr::SIMGR_ABI
